"""A job that asks language models about the rows of a table."""

from __future__ import annotations

from collections.abc import Sequence
from typing import TYPE_CHECKING, Any, Protocol

import pyarrow as pa

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["AskingJob"]


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
