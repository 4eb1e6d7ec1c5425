"""Advice in the log after a merge: what it costs, or why nothing was merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loguru import logger

from mergeit_ops.core.measures.share import share_interval
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.pairing import PairingJob

if TYPE_CHECKING:
    from mergeit_ops.jobs.llm_merging import LLMMerging

__all__ = ["advise", "planned_price"]

_FEW_PAIRS = 0.05
"""If there are fewer pairs per row than this, a dry run says how to get more."""


def advise(job: MergeJob, figures: Mapping[str, Any]) -> None:
    """Log the results of a merge or its dry run.

    :param job: the merge.
    :param figures: figures of its record.
    """
    operator = job.reader.operator
    if job.llm is not None:
        if job.dry_run:
            logger.info(f"{operator}: {_price(figures)}{_further_price(job.llm, figures)}")
            logger.info(f"{operator}: {_price_per_accepted(job, figures)}")
            if 0 < figures["pairs"] < _FEW_PAIRS * figures["rows_in"]:
                logger.info(
                    f"{operator}: {many(figures['pairs'], 'pair')} in {many(figures['rows_in'], 'row')} "
                    f"{agree(figures['pairs'], 'is', 'are')} few. A selector "
                    "leaves out similar rows first: of a few hundred rows keep all (select_ratio: 1.0 in the selector "
                    "before it) to have more pairs."
                )
        if lost := figures.get("cache_write_failures"):
            from mergeit_ops.llm.journals import journal_place

            place = journal_place(job.llm.engine.settings.cache_path)
            logger.warning(
                f"{operator}: {many(lost, 'answer')} could not be stored in the answer cache ({place}) and will be "
                "paid for "
                "again; check whether its disk is full, or set cache_path to another folder."
            )
    if not (job.flattens_only or figures["pairs"]) and figures["rows_in"] >= 2:
        logger.warning(f"{operator}: {_why_no_pairs(job.pairing, figures)}")


def _why_no_pairs(pairing: PairingJob, figures: Mapping[str, Any]) -> str:
    unmergeable = figures["unmergeable"]
    in_common = " and ".join(["their system prompt", *(f"'{name}'" for name in pairing.within)])
    if figures["rows_in"] - sum(unmergeable.values()) < 2:
        counts = ", ".join(f"{reason} {count}" for reason, count in unmergeable.items())
        return (
            f"too few of the {many(figures['rows_in'], 'row')} can be merged ({counts}), so nothing was; look at a "
            "row, and at sample_format."
        )
    if pairing.order == "random":
        return (
            f"no topic has two rows that share {in_common}, or merge_ratio asks for too few. Nothing was merged; keep "
            "more rows in the selection before it, ask for fewer topics, or raise merge_ratio."
        )
    return (
        f"no two rows of a topic exceed the similarity_threshold {pairing.threshold:g} and share {in_common}, so "
        "nothing was merged; keep more rows in the selection before it, or lower the threshold."
    )


def _price(figures: Mapping[str, Any]) -> str:
    """Return a plan as a sentence."""
    cost = figures.get("planned_cost")
    price = "" if cost is None else f", at a cost of about {cost:.4g}"
    return (
        f"a run would make {many(figures['planned_calls'], 'call')} for {many(figures['pairs'], 'pair')} "
        f"({many(figures['planned_cache_hits'], 'answer')} {agree(figures['planned_cache_hits'], 'is', 'are')} in "
        "the journal) and take about "
        f"{figures['planned_prompt_tokens']:,} prompt and {figures['planned_completion_tokens']:,} completion "
        f"tokens{price}; answers that have to be asked for again come on top."
    )


def planned_price(job: MergeJob, figures: Mapping[str, Any]) -> dict[str, Any]:
    """Return the cost of an accepted merge in a planned run, as figures for its record.

    :param job: the merge.
    :param figures: figures of its dry run, over all tasks.
    :return: `planned_tokens_per_accepted` and, if prices are given, `planned_cost_per_accepted`: the lowest and the
        highest value, for the shares of accepted merges in `planned_acceptance`. Empty if nothing is planned, or if no
        answer in the journal allows an estimate.
    """
    judged, accepted = figures.get("planned_judged", 0), figures.get("planned_accepted", 0)
    if not job.dry_run or not figures.get("planned_calls") or not judged:
        return {}
    low, high = share_interval(accepted, judged)
    shares = [share for share in (high, low) if share]
    tokens, cost = _tokens(job, figures), _cost(job, figures)
    found = {
        "planned_acceptance": _range(low, high),
        "planned_tokens_per_accepted": _range(*(tokens / share for share in shares)),
    }
    return found if cost is None else found | {"planned_cost_per_accepted": _range(*(cost / share for share in shares))}


def _range(low: float, high: float | None = None) -> dict[str, float]:
    """Return two bounds as figures; the second may be missing."""
    bounds = {"from": low} if high is None else {"from": low, "to": high}
    return {name: float(f"{value:.4g}") for name, value in bounds.items()}


def _tokens(job: MergeJob, figures: Mapping[str, Any]) -> float:
    """Return the planned tokens of one group, without further questions."""
    assert job.llm is not None
    asked = figures["planned_calls"] / job.llm.num_candidates
    return float(figures["planned_prompt_tokens"] + figures["planned_completion_tokens"]) / asked


def _cost(job: MergeJob, figures: Mapping[str, Any]) -> float | None:
    assert job.llm is not None
    cost = figures.get("planned_cost")
    return None if cost is None else float(cost) * job.llm.num_candidates / figures["planned_calls"]


def _price_per_accepted(job: MergeJob, figures: Mapping[str, Any]) -> str:
    """Return a sentence about the price of an accepted merge in a plan."""
    if not figures["planned_calls"]:
        return "every answer is in the journal, so an accepted merge costs nothing more."
    if "planned_acceptance" in figures:
        shares, tokens = figures["planned_acceptance"], figures["planned_tokens_per_accepted"]
        cost = figures.get("planned_cost_per_accepted")
        money = "" if cost is None else f", at a cost of {_shown(cost)}"
        accepted = figures["planned_accepted"]
        return (
            f"{accepted:,} of the {many(figures['planned_judged'], 'pair')} with answers in the journal "
            f"{agree(accepted, 'is an accepted merge', 'are accepted merges')}; the journal has no answers that could "
            f"not be read. If {shares['from']:.0%} to {shares['to']:.0%} of the others are (95 % confidence), an "
            f"accepted merge takes {_shown(tokens)} tokens{money}."
        )
    tokens, cost = _tokens(job, figures), _cost(job, figures)
    at = [f"{tokens / share:,.0f} tokens" + ("" if cost is None else f" ({cost / share:.4g})") for share in (1.0, 0.5)]
    unknown = "is not known" if job.judge is not None else "is not known, because only a language model can judge them"
    return (
        f"how many merges will be accepted {unknown}. If all are, an accepted merge takes about {at[0]}; if half of "
        f"them are, {at[1]}."
    )


def _shown(bounds: Mapping[str, float]) -> str:
    if "to" not in bounds:
        return f"at least {bounds['from']:,.4g}"
    return f"{bounds['from']:,.4g} to {bounds['to']:,.4g}"


def _further_price(llm: LLMMerging, figures: Mapping[str, Any]) -> str:
    """Return a sentence about the most that a run costs beyond its plan if merges are checked."""
    settings = llm.engine.settings
    times = settings.try_num - 1
    if not (llm.checks.any and times and figures["planned_calls"]):
        return ""
    calls = times * figures["planned_calls"]
    # Each further question includes the answer before it.
    written = times * figures["planned_completion_tokens"]
    prompt = times * figures["planned_prompt_tokens"] + written
    cost = "" if settings.prices is None else f", at a cost of about {settings.prices.cost(prompt, written):.4g}"
    return (
        f" Merges that lose a parent or add a demand are asked for again: at most {many(calls, 'further call')} with "
        f"about {prompt:,} prompt and {written:,} completion tokens{cost}."
    )
