"""What a run cost: calls, tokens and time of each operator."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from typing import Any

__all__ = ["Cost", "costs", "total"]

_FIGURES = ("calls", "cache_hits", "prompt_tokens", "completion_tokens", "cost")


@dataclass(frozen=True)
class Cost:
    """What an operator took; None where it does not count such a thing.

    :param operator: registry name.
    :param seconds: wall time.
    :param calls: answers that were asked for and came.
    :param cache_hits: answers from the journal.
    :param prompt_tokens: as the server reports them.
    :param completion_tokens: as the server reports them.
    :param cost: money, in the currency of the prices in the recipe.
    """

    operator: str
    seconds: float | None
    calls: int | None = None
    cache_hits: int | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None


def costs(records: Sequence[Mapping[str, Any]]) -> list[Cost]:
    """Return what each operator took, in the order of the recipe; that of the gate's scorer counts as the gate's.

    :param records: what the operators have recorded.
    """
    found = []
    for record in records:
        figures = record["figures"]
        spent = {**_spent(figures.get("scoring") or {}), **_spent(figures)}
        found.append(Cost(record["operator"], figures.get("seconds"), **spent))
    return found


def total(parts: Sequence[Cost]) -> Cost:
    """Return the sum; None where no part counts such a thing."""
    return Cost("Together", _sum(parts, "seconds"), **{name: _sum(parts, name) for name in _FIGURES})


def _spent(figures: Mapping[str, Any]) -> dict[str, Any]:
    # A scorer made of two (`cascade`) reports each under its own name.
    spent: dict[str, Any] = {}
    for value in figures.values():
        if isinstance(value, Mapping):
            for name, part in _spent(value).items():
                spent[name] = spent.get(name, 0) + part
    return spent | {name: figures[name] for name in _FIGURES if isinstance(figures.get(name), (int, float))}


def _sum(parts: Sequence[Cost], name: str) -> Any:
    known = [value for part in parts if (value := getattr(part, name)) is not None]
    return sum(known) if known else None
