"""What a tagger gets and returns."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Protocol

from mergeit_ops.core.sample import Sample
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import SampleReader

__all__ = ["ReadyTagger", "Tagger"]


class ReadyTagger(Protocol):
    """Tags rows. An instance is sent to the workers of a cluster."""

    def tags(self, samples: Sequence[Sample]) -> list[list[str]]:
        """Return the tags of each sample, each once.

        :param samples: some of the rows.
        """
        ...


class Tagger(Protocol):
    """Says how rows are tagged. It is a frozen dataclass whose fields are parameters of the operator."""

    def ready(self, rows: Rows, reader: SampleReader) -> ReadyTagger:
        """Read what must be known of all rows before the first is tagged.

        :param rows: flat rows.
        :param reader: reads them.
        """
        ...
