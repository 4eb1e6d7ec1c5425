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
"""Rows whose questions share batches. Each table of rows waits for its own batches, for up to a day."""


class AskingJob(Protocol):
    """Asks language models about rows, and keeps account of the cost. On a cluster each task has its own copy."""

    unit: str
    """The word for a row in the log: `row` or `topic`."""

    may_use_gpu: bool
    """Whether a local model may run on a GPU."""

    @property
    def operator(self) -> str:
        """Return the operator's registry name, for the log."""
        ...

    @property
    def engines(self) -> Sequence[LLMEngine]:
        """Return the engines that ask a model, in the same order in every copy; none if no call is made."""
        ...

    def ask(self, table: pa.Table, own: Any) -> tuple[pa.Table, Any]:
        """Ask about the rows of a table.

        In a small table, a few failures may be all rows. So failures are judged by the caller, who sees all tables.

        :param table: rows.
        :param own: argument for this table alone.
        :return: the rows with the answers, and a report for the operator.
        :raises LLMError: if the model cannot answer, or too many requests fail.
        """
        ...

    def account(self) -> tuple[dict[str, Any], dict[str, Any]]:
        """Return the figures and the details of all requests so far, for the record of the run.

        Those of several copies are added up. `usage` in the details holds the counters of the first engine.
        """
        ...

    def finish(self) -> None:
        """Judge the failures after the last row.

        :raises TooManyFailuresError: if too large a share has failed.
        """
        ...


class EngineJob:
    """Base class of jobs that ask one engine about rows, or only count the calls."""

    engine: LLMEngine
    """Asks the model."""

    dry_run: bool
    """Whether calls are only counted (a dry run)."""

    plan: dict[str, Any]
    """The plan of a dry run so far."""

    unit = "row"

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
    """Return the most rows that are asked about together.

    :param engines: engines that ask about them.
    """
    return _ROWS_IN_BATCHES if any(engine.settings.api_mode == "batch" for engine in engines) else READ_ROWS
