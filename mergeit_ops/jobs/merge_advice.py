"""What the log says after a merge to the person who pays for it, or who wonders why nothing was merged."""

from __future__ import annotations

from collections.abc import Mapping
from typing import TYPE_CHECKING, Any

from loguru import logger

from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.pairing import PairingJob

if TYPE_CHECKING:
    from mergeit_ops.jobs.llm_merging import LLMMerging

__all__ = ["advise"]

_FEW_PAIRS = 0.05
"""Pairs per row of the merger below which a dry run says how to get more."""


def advise(job: MergeJob, figures: Mapping[str, Any]) -> None:
    """Log what a merge, or its dry run, has found.

    :param job: the merge.
    :param figures: those of its record.
    """
    operator = job.reader.operator
    if job.llm is not None:
        if job.dry_run:
            logger.info(f"{operator}: {_price(figures)}{_further_price(job.llm, figures)}")
            if 0 < figures["pairs"] < _FEW_PAIRS * figures["rows_in"]:
                logger.info(
                    f"{operator}: {figures['pairs']:,} pairs in {figures['rows_in']:,} rows are few. A selector "
                    "leaves out similar rows first: of a few hundred rows keep all (select_ratio: 1.0 in the selector "
                    "before it) to have more pairs."
                )
        if lost := figures.get("cache_write_failures"):
            from mergeit_ops.llm.journals import journal_place

            place = journal_place(job.llm.engine.settings.cache_path)
            logger.warning(
                f"{operator}: {lost:,} answers could not be stored in the answer cache ({place}) and will be paid for "
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
            f"of {figures['rows_in']} rows too few can be merged ({counts}), so nothing was; look at a row, and at "
            "sample_format."
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
        f"a run would make {figures['planned_calls']:,} calls for {figures['pairs']:,} pairs "
        f"({figures['planned_cache_hits']:,} answers are in the journal) and take about "
        f"{figures['planned_prompt_tokens']:,} prompt and {figures['planned_completion_tokens']:,} completion "
        f"tokens{price}; answers that have to be asked for again come on top."
    )


def _further_price(llm: LLMMerging, figures: Mapping[str, Any]) -> str:
    """Return what a run costs at most on top of its plan if merges are checked."""
    settings = llm.engine.settings
    times = settings.try_num - 1
    if not (llm.checks.any and times and figures["planned_calls"]):
        return ""
    calls = times * figures["planned_calls"]
    # Each further question holds the answer before it.
    written = times * figures["planned_completion_tokens"]
    prompt = times * figures["planned_prompt_tokens"] + written
    cost = "" if settings.prices is None else f", at a cost of about {settings.prices.cost(prompt, written):.4g}"
    return (
        f" Merges that lose a parent or add a demand are asked for again: at most {calls:,} further calls with "
        f"about {prompt:,} prompt and {written:,} completion tokens{cost}."
    )
