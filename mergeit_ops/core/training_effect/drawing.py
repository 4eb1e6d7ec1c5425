"""Which rows are trained on: drawn by their ids, whatever their order, to just as many answer tokens for every set."""

from __future__ import annotations

import hashlib
from collections.abc import Sequence
from dataclasses import dataclass

__all__ = ["DrawnRows", "drawn_to", "shuffled", "swapped_answers"]


@dataclass(frozen=True)
class DrawnRows:
    """Rows that have together so many answer tokens.

    :param rows: their numbers; a row that is repeated stands here again.
    :param last_tokens: of the answer of the last one, how many tokens are kept.
    """

    rows: tuple[int, ...]
    last_tokens: int


def shuffled(ids: Sequence[str], *key: object) -> list[int]:
    """Return the numbers of rows in an order that depends on their ids alone.

    :param ids: of the rows, each once.
    :param key: names the order; the same row has the same place among others in every set.
    """
    name = repr(key)
    return sorted(range(len(ids)), key=lambda number: hashlib.sha256(f"{name}{ids[number]}".encode()).digest())


def drawn_to(ids: Sequence[str], tokens: Sequence[int], budget: int, *key: object) -> DrawnRows:
    """Draw rows until their answers have so many tokens.

    A set that has fewer is repeated: all of its rows in one order, then all in another. The answer of the last row is
    cut to what is left of the budget. The first half of a draw is the draw of half the budget.

    :param ids: n row ids, n >= 1.
    :param tokens: of the answers, >= 1.
    :param budget: tokens to draw, >= 1.
    :param key: names the draw.
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
    """Return for each row the number of the row whose answer it gets, when some of them exchange theirs.

    :param ids: n row ids; equal ones are the same row.
    :param share: of the rows that exchange answers, in [0, 1]; fewer than two rows have none to exchange.
    :param key: names the draw.
    :return: n numbers, each once.
    """
    owners = list(range(len(ids)))
    chosen = shuffled([f"{name} {number}" for number, name in enumerate(ids)], *key)[: round(share * len(ids))]
    if len(chosen) > 1:
        for one, other in zip(chosen, [*chosen[1:], chosen[0]], strict=True):
            owners[one] = other
    return owners
