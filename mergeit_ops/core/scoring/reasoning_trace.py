"""Measures of a row's reasoning trace without a model."""

from __future__ import annotations

import re
from collections.abc import Sequence

from mergeit_ops.core.sample import Exchange
from mergeit_ops.core.scoring.trace_loops import loop_score
from mergeit_ops.core.text.words import exact_words

__all__ = ["MEASURES", "trace_figures"]

MEASURES = {
    "loop": "trace_loop_score",
    "length": "trace_length",
    "share": "trace_share",
    "truncated": "trace_truncated",
}
"""Maps the name of each measure to the key of its stat."""

_FENCE = re.compile(r"^[ \t]*```", re.MULTILINE)
_OPEN_ENDS = tuple(",;([{-–—+=*/\\，、；（「")
# Without the colon, because traces often end in "The answer is:".
_NEVER_LAST = frozenset(
    (
        *("a", "an", "the", "and", "or", "but", "nor", "because", "whose", "which", "of", "from", "with", "than"),
        *("into", "if", "as"),
    )
)
_LAST_WORD = re.compile(r"[^\W\d_]+\Z")
_LONGEST_WORD = 20  # characters


def trace_figures(exchanges: Sequence[Exchange]) -> tuple[float, float, float, float] | None:
    """Return the measures of a row; None for a row without a trace.

    A row with several traces has their total length and total share, the highest loop score, and is truncated if one of
    them is. An empty trace has length 0 and no loop.

    :param exchanges: of the row.
    :return: loop score in [0, 1]; words; share of the words that the assistant writes, in [0, 1]; 0 or 1.
    """
    traces = [each.trace for each in exchanges if each.trace is not None]
    if not traces:
        return None
    length = sum(map(_count, traces))
    written = length + sum(_count(each.answer) for each in exchanges)
    truncated = any(each.trace is not None and is_truncated(each) for each in exchanges)
    return max(map(loop_score, traces)), float(length), length / written if written else 0.0, float(truncated)


def is_truncated(exchange: Exchange) -> bool:
    """Return whether a trace was cut off: it has no end, nothing after it, or stops within a sentence or a block of
    code.

    :param exchange: exchange with a trace.
    """
    if not exchange.complete:
        return True
    trace = (exchange.trace or "").rstrip()
    if trace.endswith(_OPEN_ENDS) and not trace.endswith(("**", "--", "==", "*/", "\\]")):
        return True
    last = _LAST_WORD.search(trace[-_LONGEST_WORD:])
    return (last is not None and last[0] in _NEVER_LAST) or len(_FENCE.findall(trace)) % 2 == 1


def _count(text: str) -> int:
    return len(exact_words(text))
