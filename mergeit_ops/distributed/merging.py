"""Merging in the blocks of a Ray dataset."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pyarrow as pa

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.dataset.manifest import Manifest
from mergeit_ops.dataset.merge_table import Merge
from mergeit_ops.dataset.tables import TableList
from mergeit_ops.dataset.topics import table_topics
from mergeit_ops.distributed.asking import asked
from mergeit_ops.distributed.blocks import Blocks, Resources
from mergeit_ops.jobs.merge_run import MergeRun, MergeTrial
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.llm.engine import LLMEngine

__all__ = ["merged", "tried"]


def merged(
    topics: Blocks,
    job: MergeJob,
    resources: Resources,
    manifest: Manifest,
    groups: Sequence[Sequence[Sequence[Group]]] | None,
) -> Blocks:
    """Merge within topics and flatten them; see `Rows.merged`.

    :param topics: one topic per row.
    :param job: the merge.
    :param resources: what the recipe says about tasks.
    :param manifest: gets the figures and details of all tasks, even if the work had to stop.
    :param groups: the groups of each topic, block by block; None: they are not known yet.
    :return: flat rows.
    :raises LLMError: if the LLM stage of a task had to stop, or if too many merges of all tasks have failed.
    """
    return asked(topics, _BlockMerge(job), resources, manifest, each=groups)[0]


def tried(
    topics: Blocks,
    job: MergeJob,
    resources: Resources,
    manifest: Manifest,
    groups: Sequence[Sequence[Sequence[Group]]],
) -> list[list[list[tuple[Merge, bool | None]]]]:
    """Merge some groups to learn from them; see `Rows.tried`.

    :param topics: one topic per row.
    :param job: the merge.
    :param resources: what the recipe says about tasks.
    :param manifest: gets the figures and details of all tasks, even if the work had to stop.
    :param groups: the groups to try of each topic, block by block.
    :return: the merge of each group, and whether it was accepted, by block and topic.
    :raises LLMError: if the LLM stage of a task had to stop, or if too many merges of all tasks have failed.
    """
    return asked(topics, _BlockTrial(job), resources, manifest, each=groups)[1]


class _BlockTrial:
    """The trial of some groups of one block; see `AskingJob`.

    :param job: the merge.
    """

    unit = "topic"

    def __init__(self, job: MergeJob) -> None:
        self._job = job
        self.may_use_gpu = job.llm is not None and job.llm.may_use_gpu

    @property
    def operator(self) -> str:
        return self._job.reader.operator

    @property
    def engines(self) -> Sequence[LLMEngine]:
        return self._job.engines

    def ask(
        self, table: pa.Table, own: Sequence[Sequence[Group]]
    ) -> tuple[pa.Table, list[list[tuple[Merge, bool | None]]]]:
        return table.slice(0, 0), self._job.try_out(table_topics(table), own, MergeTrial())

    def account(self) -> tuple[dict[str, Any], dict[str, Any]]:
        return self._job.spent()

    def finish(self) -> None:
        """Do nothing, because the driver judges the failures."""


class _BlockMerge:
    """The merge of one block; see `AskingJob`.

    :param job: the merge.
    """

    unit = "topic"

    def __init__(self, job: MergeJob) -> None:
        self._job = job
        self._work: MergeRun | None = None
        self.may_use_gpu = job.llm is not None and job.llm.may_use_gpu

    @property
    def operator(self) -> str:
        return self._job.reader.operator

    @property
    def engines(self) -> Sequence[LLMEngine]:
        return self._job.engines

    def ask(self, table: pa.Table, own: Sequence[Sequence[Group]] | None) -> tuple[pa.Table, None]:
        sink = TableList()
        self._work = self._job.begin(sink)
        self._job.merge(lambda: table_topics(table), self._work, own, more_to_come=True)
        flat = sink.table()
        # Data-Juicer adds this column before the first filter of a recipe, even if it exists.
        return (flat if STATS in table.column_names else flat.drop_columns([STATS])), None

    def account(self) -> tuple[dict[str, Any], dict[str, Any]]:
        assert self._work is not None
        return self._job.account(self._work)

    def finish(self) -> None:
        """Do nothing, because the driver judges the failures."""
