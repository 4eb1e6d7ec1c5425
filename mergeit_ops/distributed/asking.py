"""Asking language models about the blocks of a Ray dataset. Each block has its own stage, on any node."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from itertools import repeat
from typing import Any

import pyarrow as pa
from loguru import logger

from mergeit_ops.core.text.counts import many
from mergeit_ops.dataset.manifest import Manifest, added_up
from mergeit_ops.distributed.blocks import Blocks, Resources, Stop
from mergeit_ops.distributed.journal import keep_journals
from mergeit_ops.distributed.shared_limits import LimitsPlace, share_limits, stop_all, use_shared_limits
from mergeit_ops.errors import LLMError, MergeItError, RecipeError
from mergeit_ops.jobs.asking import AskingJob
from mergeit_ops.llm.engine import LLMEngine, told_of_answers
from mergeit_ops.llm.failure_share import check_failures
from mergeit_ops.llm.learnt import Learnt

__all__ = ["asked", "refuse_batches"]


@dataclass(frozen=True)
class _Told:
    """The news of a task for the driver.

    :param figures: figures for the record.
    :param details: details for the record.
    :param learnt: what each engine of the task has learnt about the server.
    :param report: the job's report about the block.
    :param error: why the task stopped; None: it did not.
    """

    figures: dict[str, Any]
    details: dict[str, Any]
    learnt: list[Learnt]
    report: Any = None
    error: MergeItError | None = None


def asked(
    blocks: Blocks,
    job: AskingJob,
    resources: Resources,
    manifest: Manifest,
    *,
    each: Iterable[Any] | None = None,
    stats: Mapping[str, pa.DataType] | None = None,
) -> tuple[Blocks, list[Any]]:
    """Ask language models about each block.

    :param blocks: the rows.
    :param job: asks about a block.
    :param resources: what the recipe says about tasks.
    :param manifest: gets the figures and details of all tasks, even if the work had to stop.
    :param each: a further argument for each block; None: every block gets None.
    :param stats: see `Blocks.map`.
    :return: the new blocks, and the report about each old block, in order.
    :raises LLMError: if the stage of a task had to stop, or too many requests of all tasks have failed.
    """
    refuse_batches(job.operator, job.engines)
    for engine in job.engines:
        if engine.asks_a_server:
            _tell_requests(blocks, job, engine, resources)
        else:
            resources = resources.for_a_model(on_gpu=job.may_use_gpu)
    told = _AllTold(job.engines)
    limits = share_limits(job.engines)
    try:
        made, news = blocks.map(
            _ask_block,
            job,
            limits,
            each=zip(repeat(told.learnt), repeat(None) if each is None else each, strict=False),
            resources=resources,
            journals=keep_journals(),
            # More tasks would only wait: max_concurrency applies to all of them together.
            in_advance=1,
            on_told=told.hear,
            stop=Stop(lambda error: stop_all(limits, error), told.note) if limits.keepers else None,
            stats=stats,
        )
        told.check_failures(at_end=True)
    finally:
        # A run that had to stop records its costs too.
        manifest.figures |= added_up(news.figures for news in told.heard)
        manifest.details |= added_up(news.details for news in told.heard)
    return made, [one.report for one in news]


def refuse_batches(operator: str, engines: Sequence[LLMEngine]) -> None:
    """Stop if a recipe asks for batches, because each block would wait for its own batches, for up to a day.

    :param operator: registry name, for the message.
    :param engines: engines of the operator.
    :raises RecipeError: if one of them sends batches.
    """
    if any(engine.settings.api_mode == "batch" for engine in engines):
        raise RecipeError(
            f"{operator}: api_mode: batch does not run on Ray. Run this recipe with executor_type: default, or set "
            "api_mode to online. The journal on the driver's machine keeps the answers of a run with the default "
            "executor, and a run on Ray finds them there."
        )


def _tell_requests(blocks: Blocks, job: AskingJob, engine: LLMEngine, resources: Resources) -> None:
    tasks = min(len(blocks.refs), resources.at_once())
    logger.info(
        f"{job.operator}: {many(sum(blocks.rows), job.unit)} in {many(len(blocks.refs), 'block')}, {tasks} at a time. "
        f"The server sees up to {many(engine.settings.max_concurrency, 'request')} at once, from all blocks together "
        "(max_concurrency)."
    )


class _AllTold:
    """The news of all tasks so far.

    :param engines: the engines of the job: one or none.
    """

    def __init__(self, engines: Sequence[LLMEngine]) -> None:
        self.heard: list[_Told] = []
        self.learnt = [Learnt() for _ in engines]
        """What is known about the server. The engines of the next task begin with this."""
        self._settings = [engine.settings for engine in engines]
        self._usage: dict[str, Any] = {}

    def hear(self, news: _Told) -> None:
        """Take the news of a task.

        :raises MergeItError: if the task had to stop, or if too many requests of all tasks have failed.
        """
        self.note(news)
        if news.error is not None:
            raise self._told_of_answers(news.error) if isinstance(news.error, LLMError) else news.error
        self.check_failures(at_end=False)

    def note(self, news: _Told) -> None:
        """Take the news of a task without raising its error.

        :param news: the news.
        """
        self.heard.append(news)
        self._usage = added_up([self._usage, news.details.get("usage", {})])
        for known, learnt in zip(self.learnt, news.learnt, strict=True):
            known.add(learnt)

    def check_failures(self, at_end: bool) -> None:
        """Stop if too many requests of all tasks so far have failed.

        :param at_end: whether all tasks are done.
        :raises TooManyFailuresError: if more than `max_failure_ratio` of the requests have failed.
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


def _ask_block(
    table: pa.Table, job: AskingJob, limits: LimitsPlace, own: tuple[Sequence[Learnt], Any]
) -> tuple[pa.Table | None, _Told]:
    known, argument = own
    use_shared_limits(limits, job.engines)
    for engine, learnt in zip(job.engines, known, strict=True):
        learnt.tell(engine)
    made: tuple[pa.Table | None, Any] = None, None
    stopped: MergeItError | None = None
    try:
        made = job.ask(table, argument)
    except MergeItError as error:
        stopped = error
    return made[0], _Told(*job.account(), [Learnt.by(engine) for engine in job.engines], made[1], stopped)
