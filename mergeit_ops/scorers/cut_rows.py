"""Rows of which a model reads only a part, because they do not fit into its window."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from loguru import logger

from mergeit_ops.core.text.counts import many

__all__ = ["CutRows", "CutsRows"]


class CutRows:
    """Counts rows that a scorer reads, and those that it has to cut.

    :param owner: registry name of the scorer.
    :param part: what is left of a row that is cut.
    """

    def __init__(self, owner: str, part: str = "the beginning") -> None:
        self.read = 0
        self.cut = 0
        self._owner = owner
        self._part = part

    def note(self, cut: bool) -> None:
        """Count a row.

        :param cut: whether it does not fit.
        """
        self.read += 1
        self.cut += cut

    def warning(self, cut: int, read: int) -> str:
        """Return a sentence for the user.

        :param cut: rows that did not fit, of all copies of the scorer.
        :param read: rows that the model has read.
        """
        return (
            f"{self._owner}: {cut:,} of {many(read, 'row')} did not fit into max_length or the model's window. A score "
            f"is then that of {self._part} that fits. If the model can read more, raise max_length."
        )


class CutsRows:
    """Base class of scorers that cut rows; see `ReportingScorer`."""

    cut_rows: CutRows

    def finish(self) -> None:
        """See `ReportingScorer`. Warns of rows that were cut."""
        if self.cut_rows.cut:
            logger.warning(self.cut_rows.warning(self.cut_rows.cut, self.cut_rows.read))

    def figures(self) -> Mapping[str, Any]:
        """See `ReportingScorer`: how many rows were cut."""
        return {"rows_cut": self.cut_rows.cut} if self.cut_rows.cut else {}
