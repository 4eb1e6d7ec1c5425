"""The tokens of a response after its prompt, with and without a demonstration.

Sources: MIWV (Jiang et al., arXiv 2511.07074): the nearest other row is the demonstration, and the score is the loss
with it minus the loss without it; Nuggets (Li et al., arXiv 2312.10302): the row is the demonstration for other rows.
"""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import dataclass

from mergeit_ops.core.scoring.response_loss import Span

__all__ = ["ShotSpans", "shot_spans"]


@dataclass(frozen=True)
class ShotSpans:
    """The same tokens of a response without and with a demonstration.

    :param zero: without.
    :param one: span with a demonstration; None if there is no room for any of its tokens.
    """

    zero: Span
    one: Span | None


def shot_spans(
    prompt: Sequence[int], response: Sequence[int], demo: Sequence[int], start: Sequence[int], max_length: int
) -> ShotSpans | str:
    """Return the spans whose losses are wanted.

    If the text is too long, the beginning of the demonstration is cut first, then the end of the response, in the same
    way in both spans.

    :param prompt: token ids of the prompt, at least one.
    :param response: token ids of the response.
    :param demo: token ids of the demonstration and the separator after it.
    :param start: the tokens before a text: BOS or EOS, or none.
    :param max_length: most tokens that the model reads.
    :return: the spans, or why there are none: `empty_response` or `instruction_too_long`.
    """
    if not response:
        return "empty_response"
    before = (*start, *prompt)
    scored = tuple(response[: max(0, max_length - len(before))])
    if not scored:
        return "instruction_too_long"
    room = min(len(demo), max_length - len(before) - len(scored))
    zero = Span((*before, *scored), len(before))
    if room < 1:
        return ShotSpans(zero, None)
    behind = (*start, *demo[len(demo) - room :], *prompt)
    return ShotSpans(zero, Span((*behind, *scored), len(behind)))
