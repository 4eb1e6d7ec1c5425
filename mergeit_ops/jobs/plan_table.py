"""The table at the end of a dry run."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from typing import Any

from mergeit_ops.core.text.counts import agree, many

__all__ = ["plan_table"]


def plan_table(figures: Mapping[str, Any]) -> str:
    """Return the price of a run, with one line for each figure.

    :param figures: figures in the record of a dry run.
    """
    lines = list(_lines(figures))
    widths = [max(len(line[column]) for line in lines) for column in (0, 1)]
    return "\n".join(f"  {name:{widths[0]}}  {value:>{widths[1]}}  {note}".rstrip() for name, value, note in lines)


def _lines(figures: Mapping[str, Any]) -> Iterator[tuple[str, str, str]]:
    if "pairs" in figures:
        yield "pairs", f"{figures['pairs']:,}", ""
    stored = figures["planned_cache_hits"]
    yield (
        "calls",
        f"{figures['planned_calls']:,}",
        f"{many(stored, 'answer')} {agree(stored, 'is', 'are')} in the journal" if stored else "",
    )
    prompt, fixed = figures["planned_prompt_tokens"], figures.get("planned_fixed_prompt_tokens")
    share = f"{fixed / prompt:.0%} of them the fixed prompt" if fixed and prompt else ""
    yield "prompt tokens", f"{prompt:,}", share
    yield "completion tokens", f"{figures['planned_completion_tokens']:,}", ""
    cost = figures.get("planned_cost")
    if cost is None:
        yield "price", "–", "set price_per_1k_prompt and price_per_1k_completion to know it"
    else:
        yield "price", f"{cost:,.4g}", "in the currency of the prices in the recipe"
