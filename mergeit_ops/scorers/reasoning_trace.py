"""How long a row's reasoning trace is, whether it goes round in circles, and whether it was cut off."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.reasoning_trace import MEASURES, trace_figures
from mergeit_ops.core.scoring.score import Score

__all__ = ["ReasoningTraceScorer"]

_VERSION = 1  # of the rules by which traces are measured; another one makes the stats anew


class ReasoningTraceScorer:
    """Measures the reasoning trace of each row, in whatever layout it stands; no model, no parameters.

    `loop`, the score, is how repetitive the trace is where it is most repetitive: of the 128 words that repeat most,
    the share that stands in a loop, from 0 to 1. Nearly every trace without a loop has 0. A sentence of 16 words that
    stands there four times gives 0.4, a loop that goes on gives 1. `length` is the number of words; a character of a
    script without spaces, such as Chinese, counts as a word. `share` is that of the trace in all that the assistant
    writes, by words. `truncated` is 1 if the trace has no end, if nothing stands behind it, or if it stops in the
    middle of a sentence or a block of code, else 0. A row with several traces has the loop score of the worst and the
    sum of their lengths, and is truncated if one of them is.
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
        """Measure the traces of rows, each alone, in time linear in its length.

        :param samples: n rows.
        :return: n tuples with a score for each measure. A row without a trace has `no_trace`.
        """
        return [_scores(trace_figures(sample.exchanges)) for sample in samples]


def _scores(figures: Sequence[float] | None) -> tuple[Score, ...]:
    return (Score.missing("no_trace"),) * len(MEASURES) if figures is None else tuple(map(Score, figures))
