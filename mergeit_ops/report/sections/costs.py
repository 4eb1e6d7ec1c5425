"""The cost of a run: calls, tokens and time of each operator."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.dataset.summary import price_of_merges
from mergeit_ops.report.rendering import count, figure, seconds
from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["Cost", "build", "costs", "price", "total"]

_FIGURES = ("calls", "cache_hits", "prompt_tokens", "cached_prompt_tokens", "completion_tokens", "cost")


@dataclass(frozen=True)
class Cost:
    """The cost of an operator. A value is None if the operator does not count it.

    :param operator: registry name.
    :param seconds: wall time in seconds.
    :param calls: number of answered requests.
    :param cache_hits: number of answers from the journal.
    :param prompt_tokens: number of prompt tokens that the server reports.
    :param cached_prompt_tokens: number of prompt tokens that the server found in its cache.
    :param completion_tokens: number of completion tokens that the server reports.
    :param cost: money in the currency of the recipe's prices.
    """

    operator: str
    seconds: float | None
    calls: int | None = None
    cache_hits: int | None = None
    prompt_tokens: int | None = None
    cached_prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cost: float | None = None


def build(run: SurveyedRun) -> Section | None:
    """Return the section; None without records.

    :param run: the run.
    """
    parts = costs(run.records)
    if not parts:
        return None
    values = {
        "parts": parts,
        "total": total(parts),
        "columns": _columns(total(parts)),
        "price": price(run.records),
    }
    return Section("Calls, tokens, time", "Costs", values)


def price(records: Sequence[Mapping[str, Any]]) -> str:
    """Return the price of one merge as a sentence; empty if no merge was paid for.

    :param records: records of the operators.
    """
    figures = [record["figures"] for record in records]
    found = price_of_merges(figures)
    if not found:
        return ""
    merge = "An accepted merge" if "tokens_per_accepted" in found else "A merge"
    (tokens, *cost) = found.values()
    money = f", at a cost of {cost[0]:.4g}" if cost else ""
    journal = sum(part.get("cache_hits") or 0 for part in figures if "pairs" in part)
    verb = agree(journal, "costs", "cost")
    free = f" {many(journal, 'answer')} from the journal {verb} nothing in this run." if journal else ""
    return f"{merge} took {count(round(tokens))} tokens{money}.{free}"


def costs(records: Sequence[Mapping[str, Any]]) -> list[Cost]:
    """Return the cost of each operator, in the order of the recipe. The gate's cost includes its scorer.

    :param records: records of the operators.
    """
    found = []
    for record in records:
        figures = record["figures"]
        spent = {**_spent(figures.get("scoring") or {}), **_spent(figures)}
        found.append(Cost(record["operator"], figures.get("seconds"), **spent))
    return found


def total(parts: Sequence[Cost]) -> Cost:
    """Return the sum of the costs. A value is None if no operator counts it."""
    return Cost("Together", _sum(parts, "seconds"), **{name: _sum(parts, name) for name in _FIGURES})


def _columns(whole: Cost) -> list[tuple[str, Callable[[Cost], str]]]:
    """Return the title of each column that has values, and the function that formats its cells."""
    columns: list[tuple[str, str, Callable[[Any], str]]] = [
        ("Time", "seconds", seconds),
        ("Calls", "calls", count),
        ("From the journal", "cache_hits", count),
        ("Prompt tokens", "prompt_tokens", count),
        ("Of them cached", "cached_prompt_tokens", count),
        ("Completion tokens", "completion_tokens", count),
        ("Cost", "cost", figure),
    ]

    def column(name: str, shown_as: Callable[[Any], str]) -> Callable[[Cost], str]:
        return lambda part: shown_as(getattr(part, name))

    return [(title, column(name, shown_as)) for title, name, shown_as in columns if getattr(whole, name) is not None]


def _spent(figures: Mapping[str, Any]) -> dict[str, Any]:
    # The scorer `cascade` has two scorers, and reports the figures of each under its name.
    spent: dict[str, Any] = {}
    for value in figures.values():
        if isinstance(value, Mapping):
            for name, part in _spent(value).items():
                spent[name] = spent.get(name, 0) + part
    return spent | {name: figures[name] for name in _FIGURES if isinstance(figures.get(name), (int, float))}


def _sum(parts: Sequence[Cost], name: str) -> Any:
    known = [value for part in parts if (value := getattr(part, name)) is not None]
    return sum(known) if known else None
