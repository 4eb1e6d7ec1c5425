"""How long a row's reasoning trace is, whether it goes round in circles, and whether it was cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.reasoning_trace import MEASURES, trace_figures
from mergeit_ops.core.scoring.score import Score

__all__ = ["ReasoningTraceScorer"]

_VERSION = 1  # version of the rules for measuring traces; if it changes, the stats are made again


class ReasoningTraceScorer:
    """Measures the reasoning trace of each row, in any layout, without a model and without parameters.

    `loop`, the score, describes the most repetitive part of the trace: the share, from 0 to 1, of its most repetitive
    128 words that are in a loop. Nearly every trace without a loop has 0. A sentence of 16 words that occurs four times
    gives 0.4; an endless loop gives 1. `length` is the number of words; in scripts without spaces, such as Chinese, a
    character counts as a word. `share` is the trace's share of all words that the assistant writes. `truncated` is 1 if
    the trace has no end, if nothing follows it, or if it stops in the middle of a sentence or a block of code;
    otherwise it is 0. A row with several traces has the highest loop score and the sum of their lengths, and is
    truncated if one of them is.
    """

    measures: ClassVar[Mapping[str, str]] = MEASURES
    reads: ClassVar[str] = "parts"
    no_ratio: ClassVar[str] = "a row with a reasoning trace is never merged"

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        return {"version": _VERSION}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows by how repetitive their traces are; see `measure`."""
        return [scores[0] for scores in self.measure(samples)]

    def measure(self, samples: Sequence[Sample]) -> list[tuple[Score, ...]]:
        """Measure the traces of rows, each separately, in time linear in its length.

        :param samples: n rows.
        :return: n tuples with a score for each measure. A row without a trace has `no_trace`.
        """
        return [_scores(trace_figures(sample.exchanges)) for sample in samples]


def _scores(figures: Sequence[float] | None) -> tuple[Score, ...]:
    return (Score.missing("no_trace"),) * len(MEASURES) if figures is None else tuple(map(Score, figures))
