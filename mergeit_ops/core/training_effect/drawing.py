"""Drawing the rows to train on. Draws depend on row ids, not on row order, and fill a budget of answer tokens."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DrawnRows", "drawn_to", "shuffled", "swapped_answers"]


@dataclass(frozen=True)
class DrawnRows:
    """Rows whose answers fill a budget of tokens.

    :param rows: indices of the rows; a repeated row appears several times.
    :param last_tokens: number of answer tokens to keep of the last row.
    """

    rows: tuple[int, ...]
    last_tokens: int


def shuffled(ids: Sequence[str], *key: object) -> list[int]:
    """Return row indices in a pseudo-random order that depends only on the ids and the key.

    Two rows have the same relative order in every set.

    :param ids: row ids, each once.
    :param key: values that identify the order.
    """
    name = repr(key)
    return sorted(range(len(ids)), key=lambda number: hashlib.sha256(f"{name}{ids[number]}".encode()).digest())


def drawn_to(ids: Sequence[str], tokens: Sequence[int], budget: int, *key: object) -> DrawnRows:
    """Draw rows until their answers have `budget` tokens.

    A smaller set is repeated: all its rows in one order, then all its rows in another order. The answer of the last row
    is cut to fit the budget. A draw with a smaller budget is a prefix of a draw with a larger one.

    :param ids: n row ids, n >= 1.
    :param tokens: n numbers of answer tokens, each >= 1.
    :param budget: tokens to draw, >= 1.
    :param key: values that identify the draw.
    """
    rows: list[int] = []
    left, passes = budget, 0
    while True:
        for number in shuffled(ids, *key, passes):
            rows.append(number)
            if tokens[number] >= left:
                return DrawnRows(tuple(rows), left)
            left -= tokens[number]
        passes += 1


def swapped_answers(ids: Sequence[str], share: float, *key: object) -> list[int]:
    """Return the index of the row whose answer each row gets when some rows exchange their answers.

    :param ids: n row ids; equal ids are the same row.
    :param share: share of the rows that exchange answers, in [0, 1]. With fewer than two such rows nothing changes.
    :param key: values that identify the draw.
    :return: n indices, each once.
    """
    owners = list(range(len(ids)))
    chosen = shuffled([f"{name} {number}" for number, name in enumerate(ids)], *key)[: round(share * len(ids))]
    if len(chosen) > 1:
        for one, other in zip(chosen, [*chosen[1:], chosen[0]], strict=True):
            owners[one] = other
    return owners
