"""Jobs that ask language models about the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

from mergeit_ops.dataset.tables import READ_ROWS
from mergeit_ops.llm.usage import PLANNED_FIGURES

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["AskingJob", "EngineJob", "rows_at_once"]

_ROWS_IN_BATCHES = 50_000
"""Rows whose questions wait for the same batches: each table of rows waits for its own, for up to a day."""


class AskingJob(Protocol):
    """Asks language models about rows, and knows what that has cost. On a cluster each task has a copy of its own."""

    unit: str
    """What a row is, for the log: `rows` or `topics`."""

    may_use_gpu: bool
    """Whether a local model may run on a GPU."""

    @property
    def operator(self) -> str:
        """Return the registry name of the operator, for the log."""
        ...

    @property
    def engines(self) -> Sequence[LLMEngine]:
        """Return the engines that ask a model, in the same order in every copy; none if no call is made."""
        ...

    def ask(self, table: pa.Table, own: Any) -> tuple[pa.Table, Any]:
        """Ask about the rows of a table.

        A few failures may be all that a small table has: whoever sees all tables judges them.

        :param table: rows.
        :param own: an argument of this table.
        :return: the rows with what was answered, and a report for the operator.
        :raises LLMError: if the model cannot answer, or too many requests fail.
        """
        ...

    def account(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the figures and the details of all that was asked so far, for the record of the run.

        Those of several copies are added up. `usage` of the details are the counters of the first engine.
        """
        ...

    def finish(self) -> None:
        """Judge the failures when there are no more rows.

        :raises TooManyFailuresError: if too large a share has failed.
        """
        ...


class EngineJob:
    """Base class of jobs that ask one engine about rows, or only count the calls."""

    engine: LLMEngine
    """Asks the model."""

    dry_run: bool
    """Whether calls are only counted."""

    plan: dict[str, Any]
    """What a dry run would take so far."""

    unit = "rows"

    @property
    def engines(self) -> Sequence[LLMEngine]:
        """See `AskingJob`."""
        return [] if self.dry_run else [self.engine]

    def account(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """See `AskingJob`."""
        figures = {f"planned_{name}": self.plan[name] for name in PLANNED_FIGURES if name in self.plan}
        if not self.engine.total.requests:
            return figures, {}
        return figures | self.engine.figures(), {"usage": self.engine.total.as_dict()}

    def finish(self) -> None:
        """See `AskingJob`."""
        if self.engine.total.requests:
            self.engine.run((), lambda outcome: None)


def rows_at_once(engines: Sequence[LLMEngine]) -> int:
    """Return how many rows are asked about together at most.

    :param engines: that ask about them.
    """
    return _ROWS_IN_BATCHES if any(engine.settings.api_mode == "batch" for engine in engines) else READ_ROWS
