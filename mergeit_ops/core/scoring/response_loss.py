"""How hard a language model finds a response, with its instruction and without it: perplexity and IFD.

Sources: Li et al., "From Quantity to Quality" (arXiv 2308.12032, Cherry): the ratio of mean token losses; Li et al.,
"Superfiltering" (arXiv 2402.00530): the ratio of perplexities, which orders rows otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score

__all__ = ["MEASURES", "NEEDS", "Span", "measured", "prompt_text", "response_spans"]

MEASURES: Mapping[str, str] = {
    "ifd": "ifd",
    "ifd_loss_ratio": "ifd_loss_ratio",
    "perplexity": "response_perplexity",
    "sample_perplexity": "sample_perplexity",
}
"""Name of each measure to the key of its stat. No key is one of Data-Juicer's own: its filters would take the value of
another model for theirs."""


@dataclass(frozen=True)
class Span:
    """Tokens of which a model's mean loss is wanted.

    :param tokens: token ids, as the model reads them.
    :param first: position of the first one whose loss counts, >= 1; all after it count too.
    """

    tokens: tuple[int, ...]
    first: int


NEEDS: Mapping[str, tuple[str, ...]] = {
    "ifd": ("given", "alone"),
    "ifd_loss_ratio": ("given", "alone"),
    "perplexity": ("given",),
    "sample_perplexity": ("whole",),
}
"""The losses that each measure is made of: of the response given its prompt, of the response alone, of prompt and
response as one text."""


def prompt_text(sample: Sample) -> str:
    """Return what stands before the response: instruction, and input where there is one, each on lines of its own."""
    return f"{sample.instruction}\n{sample.input}\n" if sample.input else f"{sample.instruction}\n"


def response_spans(
    prompt: Sequence[int], response: Sequence[int], start: Sequence[int], max_length: int
) -> dict[str, Span] | str:
    """Return the tokens of which the losses are wanted; see `NEEDS`.

    Where the tokenizer puts nothing first, as GPT-2's, the first token of the response alone has no loss, while behind
    the prompt every one has: so the released code counts, and so it is cut.

    :param prompt: token ids of the prompt, without special tokens.
    :param response: token ids of the response, without special tokens.
    :param start: what stands before a text: BOS or EOS, or nothing.
    :param max_length: tokens that the model reads at most; the end of a longer response is cut.
    :return: the spans, those without a token whose loss counts left out; or why there are none: `empty_response`,
        `instruction_too_long`.
    """
    if not response:
        return "empty_response"
    before = (*start, *prompt)
    room = max_length - len(before)
    if room < 1:
        return "instruction_too_long"
    alone = (*start, *response)[: room + 1]
    tokens = (*before, *response[:room])
    spans = {"given": Span(tokens, len(before)), "alone": Span(alone, 1), "whole": Span(tokens, 1)}
    return {name: span for name, span in spans.items() if len(span.tokens) > span.first >= 1}


def measured(measure: str, losses: Mapping[str, float]) -> Score:
    """Return a measure.

    :param measure: `ifd`: perplexity of the response given the prompt over its perplexity alone, exp(given - alone);
        `ifd_loss_ratio`: given / alone; `perplexity`: exp(given); `sample_perplexity`: exp(whole).
    :param losses: mean token losses, natural logarithm.
    :return: the measure; `response_too_short` if a loss that it needs is not there, `not_finite` if it is no finite
        number.
    """
    if any(name not in losses for name in NEEDS[measure]):
        return Score.missing("response_too_short")
    values = [losses[name] for name in NEEDS[measure]]
    try:
        if measure == "ifd_loss_ratio":
            value = values[0] / values[1]
        else:
            value = math.exp(values[0] - values[1] if measure == "ifd" else values[0])
    except (OverflowError, ZeroDivisionError):
        return Score.missing("not_finite")
    # An infinite loss of the response alone would make an IFD of 0.
    return Score(value) if all(map(math.isfinite, (*values, value))) else Score.missing("not_finite")
