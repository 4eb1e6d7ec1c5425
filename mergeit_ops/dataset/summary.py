"""The figures of a run, computed from the figures of its operators."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Mapping, Sequence
from typing import Any

from mergeit_ops.core.merging.reasons import REASONS, remedy
from mergeit_ops.core.text.counts import agree

__all__ = ["nothing_merged", "price_of_merges", "readable", "summary_of"]

_SUMMARISED = (
    "dropped_by_loader",
    "read_as_timestamps",
    "changed_types",
    "unreadable",
    "topics",
    "pairs",
    "merged",
    "accepted",
    "restored_rows",
    "rejected",
    "filtered_out",
    "failed",
    "unmergeable",
    "emptied_columns",
    "planned_calls",
    "planned_cache_hits",
    "planned_prompt_tokens",
    "planned_fixed_prompt_tokens",
    "planned_completion_tokens",
    "planned_cost",
    "planned_judged",
    "planned_accepted",
    "planned_acceptance",
    "planned_tokens_per_accepted",
    "planned_cost_per_accepted",
    "calls",
    "cache_hits",
    "prompt_tokens",
    "cached_prompt_tokens",
    "completion_tokens",
    "lost_prompt_tokens",
    "cache_write_failures",
    "last_errors",
    "answered_as",
    "dropped_parameters",
    "batches",
    "resubmitted",
    "cost",
    "scoring",
)

_LATEST = ("unreadable", "topics", "unmergeable")
"""Figures that a later operator of the same kind reports again for the same rows."""

_OF_ONE_MERGER = ("planned_acceptance", "planned_tokens_per_accepted", "planned_cost_per_accepted")
"""Figures that cannot be added up."""

_OF_GATES = ("accepted", "restored_rows", "rejected")


def summary_of(figures: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of a run.

    :param figures: figures of each operator, in the order of the recipe. Figures of several operators are added up. If
        several gates judge the same merges one after the other, the last one decides which are accepted.
    """
    summary: dict[str, Any] = {
        "rows_in": next((part["rows_in"] for part in figures if "rows_in" in part), None),
        "rows_out": next((part["rows_out"] for part in reversed(figures) if "rows_out" in part), None),
    }
    behind_mergers = _behind_mergers(figures)
    found: dict[str, Any] = {}
    for number, part in enumerate(figures):
        for name in _SUMMARISED:
            if name not in part or (name in _OF_GATES and number not in behind_mergers):
                continue
            if name == "accepted" and not behind_mergers[number]:
                continue
            if name == "scoring" and name in found:
                found[f"scoring_{sum(key.startswith(name) for key in found) + 1}"] = part[name]
            elif name in _LATEST or name not in found:
                found[name] = part[name]
            else:
                found[name] = _sum(found[name], part[name])
    if sum("pairs" in part for part in figures) > 1:
        found = {name: value for name, value in found.items() if name not in _OF_ONE_MERGER}
    summary |= {name: found[name] for name in _SUMMARISED if name in found and name != "scoring"}
    summary |= {name: value for name, value in found.items() if name.startswith("scoring")}
    summary |= price_of_merges(figures)
    summary["seconds"] = round(sum(part.get("seconds", 0) for part in figures), 1)
    return summary


def price_of_merges(figures: Sequence[Mapping[str, Any]]) -> dict[str, float]:
    """Return what a run has paid per remaining merge.

    :param figures: figures of each operator, in the order of the recipe.
    :return: `tokens_per_accepted` and, if prices are known, `cost_per_accepted`: what the mergers spent (including lost
        calls, but not answers from the journal) per merge that the gates accept. Without a gate, `tokens_per_merge` and
        `cost_per_merge`. Empty if nothing was asked, or no merge is left.
    """
    mergers = [part for part in figures if "pairs" in part and part.get("calls")]
    behind = _behind_mergers(figures)
    counted = ("accepted", [figures[number] for number, last in behind.items() if last])
    name, parts = counted if behind else ("merged", [part for part in figures if "pairs" in part])
    left = sum(part.get(name) or 0 for part in parts)
    if not mergers or not left:
        return {}
    what = "accepted" if behind else "merge"
    spent = ("prompt_tokens", "completion_tokens", "lost_prompt_tokens")
    tokens = sum(part.get(one) or 0 for part in mergers for one in spent)
    costs = [part["cost"] for part in mergers if part.get("cost") is not None]
    price = {f"tokens_per_{what}": round(tokens / left, 1)}
    return price | ({f"cost_per_{what}": float(f"{sum(costs) / left:.4g}")} if costs else {})


def nothing_merged(figures: Sequence[Mapping[str, Any]]) -> str | None:
    """Return why a run merged nothing although it had pairs, and what to do, as one line; None else.

    :param figures: figures of each operator, in the order of the recipe.
    """
    mergers = [part for part in figures if "pairs" in part]
    pairs, merged = (sum(part.get(name) or 0 for part in mergers) for name in ("pairs", "merged"))
    failed = _by_reason(part.get("failed") for part in mergers)
    if pairs and not merged and failed:
        none = agree(pairs, "the only pair has no merge", f"none of {pairs:,} pairs has a merge")
        return f"nothing was merged: {none}. {_most_frequent(failed)}"
    gates = _behind_mergers(figures)
    rejected = _by_reason(figures[number]["rejected"] for number in gates)
    if rejected and not any(figures[number].get("accepted") for number, last in gates.items() if last):
        merges = merged or rejected.total()
        all_of_them = agree(merges, "the only merge", f"all {merges:,} merges")
        return f"nothing was merged: the gate rejected {all_of_them}. {_most_frequent(rejected)}"
    return None


def _by_reason(parts: Iterable[Mapping[str, int] | None]) -> Counter[str]:
    total: Counter[str] = Counter()
    for part in parts:
        total.update(part or {})
    return total


def _most_frequent(reasons: Counter[str]) -> str:
    ((reason, count),) = reasons.most_common(1)
    todo = remedy(reason)
    return f"Most frequent reason: {REASONS.get(reason, reason)} ({reason}, {count:,}). {todo[0].upper()}{todo[1:]}."


def _behind_mergers(figures: Sequence[Mapping[str, Any]]) -> dict[int, bool]:
    """Return the numbers of the gates after a merger, and whether each is the last one before another merger.

    If a run has no merger, all gates count: they judge the merges in the dataset.
    """
    mergers = [number for number, part in enumerate(figures) if "pairs" in part]
    gates = [number for number, part in enumerate(figures) if "rejected" in part]
    if mergers:
        gates = [number for number in gates if number > mergers[0]]
    stretch = {number: sum(merger < number for merger in mergers) for number in gates}
    last = {stretch[number]: number for number in gates}
    return {number: last[stretch[number]] == number for number in gates}


def _sum(first: Any, second: Any) -> Any:
    """Add up figures: numbers, lists and mappings. For texts the latest counts; None is ignored."""
    if isinstance(first, Mapping) and isinstance(second, Mapping):
        return {
            key: _sum(first[key], second[key]) if key in first and key in second else {**second, **first}[key]
            for key in {**first, **second}
        }
    if first is None or second is None:
        return first if second is None else second
    return second if isinstance(second, (str, bool)) else first + second


def readable(figures: Mapping[str, Any]) -> str:
    """Return figures as a readable line."""
    return "; ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in figures.items())


def _shown(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    inner = ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    return f"({inner})" if inner else "none"
