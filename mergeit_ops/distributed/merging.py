"""Merging in the blocks of a Ray dataset: each has an LLM stage of its own, on whichever node the block is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import pyarrow as pa
from loguru import logger

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.dataset.manifest import Manifest, added_up
from mergeit_ops.dataset.tables import TableList
from mergeit_ops.dataset.topics import table_topics
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.distributed.budget import BudgetPlace, share_budgets, spend_from
from mergeit_ops.distributed.journal import keep_journals
from mergeit_ops.errors import LLMError
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.llm.engine import LLMEngine, told_of_answers
from mergeit_ops.llm.failure_share import check_failures
from mergeit_ops.llm.learnt import Learnt

__all__ = ["merged"]


@dataclass(frozen=True)
class _Told:
    """What a task tells the driver: figures and details of the record, what it has learnt of the server, and why it
    stopped, where it did."""

    figures: dict[str, Any]
    details: dict[str, Any]
    learnt: list[Learnt]
    error: LLMError | None = None


def merged(
    topics: Blocks,
    job: MergeJob,
    resources: Resources,
    manifest: Manifest,
    groups: Sequence[Sequence[Sequence[Group]]] | None,
) -> Blocks:
    """Merge within topics and flatten them; see `Rows.merged`.

    :param topics: topics.
    :param job: the merge.
    :param resources: what the recipe says about tasks.
    :param manifest: takes the figures and details of all tasks.
    :param groups: the groups of each topic, block by block; None: not yet known.
    :return: flat rows.
    :raises LLMError: if the LLM stage of a task had to stop, or too many merges of all tasks have failed.
    """
    for engine in job.engines:
        if engine.asks_a_server:
            _tell_requests(topics, job, engine, resources)
        else:
            resources = resources.for_a_model(on_gpu=job.llm is not None and job.llm.may_use_gpu)
    told = _AllTold(job.engines)
    try:
        flat, _ = topics.map(
            _merge_block,
            job,
            share_budgets(job.engines),
            each=zip(repeat(told.learnt), groups or repeat(None), strict=False),
            resources=resources,
            journals=keep_journals(),
            # The limit of requests, and the loss when the driver is killed, are per task.
            in_advance=1,
            on_told=told.hear,
        )
        told.check_failures(at_end=True)
    finally:
        # Also of a run that had to stop: what it cost is on record.
        manifest.figures |= added_up(news.figures for news in told.heard)
        manifest.details |= added_up(news.details for news in told.heard)
    return flat


def _tell_requests(topics: Blocks, job: MergeJob, engine: LLMEngine, resources: Resources) -> None:
    tasks = min(len(topics.refs), resources.at_once())
    each = engine.settings.max_concurrency
    logger.info(
        f"{job.reader.operator}: {sum(topics.rows)} topics in {len(topics.refs)} blocks, {tasks} at a time, each with "
        f"up to {each} requests in flight: the server sees up to {tasks * each}. To lower this number, set "
        "num_proc (blocks at a time) or max_concurrency (requests of each block)."
    )


class _AllTold:
    """What all tasks so far have told.

    :param engines: the engines of the merge: one or none.
    """

    def __init__(self, engines: Sequence[LLMEngine]) -> None:
        self.heard: list[_Told] = []
        self.learnt = [Learnt() for _ in engines]
        """What is known of the server. Each task has an engine of its own, which begins with this."""
        self._settings = [engine.settings for engine in engines]
        self._usage: dict[str, Any] = {}

    def hear(self, news: _Told) -> None:
        """Take the news of a task.

        :raises LLMError: if it had to stop, or too many merges of all tasks have failed.
        """
        self.heard.append(news)
        self._usage = added_up([self._usage, news.details.get("usage", {})])
        for known, learnt in zip(self.learnt, news.learnt, strict=True):
            known.add(learnt)
        if news.error is not None:
            raise self._told_of_answers(news.error)
        self.check_failures(at_end=False)

    def check_failures(self, at_end: bool) -> None:
        """Stop if too large a share of the merges of all tasks so far has failed.

        :param at_end: whether no more will come.
        :raises TooManyFailuresError: if so.
        """
        usage: Mapping[str, Any] = self._usage
        if not usage:
            return
        try:
            check_failures(
                usage["answered"],
                usage["failures"],
                self._settings[0].max_failure_ratio,
                at_end=at_end,
                last_errors=usage.get("last_errors"),
            )
        except LLMError as error:
            stopped = error
        else:
            return
        raise self._told_of_answers(stopped)

    def _told_of_answers(self, stopped: LLMError) -> LLMError:
        journal = self._settings[0].cache_path is not None
        return told_of_answers(stopped, self._usage, journal=journal, at_least=True)


def _merge_block(
    table: pa.Table,
    job: MergeJob,
    budgets: BudgetPlace,
    own: tuple[Sequence[Learnt], Sequence[Sequence[Group]] | None],
) -> tuple[pa.Table | None, _Told]:
    known, groups = own
    spend_from(budgets, job.engines)
    for engine, learnt in zip(job.engines, known, strict=True):
        learnt.tell(engine)
    sink = TableList()
    work = job.begin(sink)
    stopped: LLMError | None = None
    try:
        # A few failures may be all that a small block has: whoever sees all blocks judges them.
        job.merge(lambda: table_topics(table), work, groups, more_to_come=True)
    except LLMError as error:
        stopped = error
    told = _Told(*job.account(work), [Learnt.by(engine) for engine in job.engines], stopped)
    if stopped is not None:
        return None, told
    flat = sink.table()
    # Data-Juicer adds the column before the first filter of a recipe, whether it is there or not.
    return (flat if STATS in table.column_names else flat.drop_columns([STATS])), told
