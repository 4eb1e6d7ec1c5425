"""How hard a language model finds a response, with its instruction and without it: perplexity and IFD.

Sources: Li et al., "From Quantity to Quality" (arXiv 2308.12032, Cherry): the ratio of mean token losses; Li et al.,
"Superfiltering" (arXiv 2402.00530): the ratio of perplexities, which orders rows otherwise; Li et al., "Selective
Reflection-Tuning" (arXiv 2402.10110): the same ratio of the instruction, given its response; D3 (arXiv 2503.11441):
losses of tokens of which the model was sure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass

from mergeit_ops.core.scoring.score import Score

__all__ = ["MEASURES", "NEEDS", "UPD", "Span", "measured", "question_spans", "response_spans"]

MEASURES: Mapping[str, str] = {
    "ifd": "ifd",
    "ifd_loss_ratio": "ifd_loss_ratio",
    "perplexity": "response_perplexity",
    "sample_perplexity": "sample_perplexity",
    "reverse_ifd": "reverse_ifd",
    "upd": "upd",
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
    "reverse_ifd": ("question_given", "question_alone"),
    "upd": ("given_upd",),
}
"""The losses that each measure is made of: of the response given its prompt, of the response alone, of prompt and
response as one text, of the instruction given its response, of the instruction alone; and the mean surprise of the
response given its prompt."""

UPD = "_upd"
"""Ending of the name of a span whose mean surprise is wanted, not its mean loss; see `LossModel`."""


def response_spans(
    prompt: Sequence[int],
    response: Sequence[int],
    start: Sequence[int],
    max_length: int,
    alone: Sequence[int] = (),
) -> dict[str, Span] | str:
    """Return the tokens of which the losses are wanted; see `NEEDS`.

    Where the tokenizer puts nothing first, as GPT-2's, the first token of the response alone has no loss, while behind
    the prompt every one has: so the released code counts, and so it is cut.

    :param prompt: token ids of the prompt, without special tokens.
    :param response: token ids of the response, without special tokens.
    :param start: what stands before a text: BOS or EOS, or nothing.
    :param max_length: tokens that the model reads at most; the end of a longer response is cut.
    :param alone: token ids of what stands before a response without its prompt.
    :return: the spans, those without a token whose loss counts left out; or why there are none: `empty_response`,
        `instruction_too_long`.
    """
    if not response:
        return "empty_response"
    before = (*start, *prompt)
    bare = (*start, *alone)
    room = max_length - max(len(before), len(bare))
    if room < 1:
        return "instruction_too_long"
    # One more where nothing stands before it, since the first token has no loss there.
    rest = (*bare, *response[: room + (not bare)])
    tokens = (*before, *response[:room])
    spans = {
        "given": Span(tokens, len(before)),
        "alone": Span(rest, max(1, len(bare))),
        "whole": Span(tokens, 1),
    }
    return {name: span for name, span in spans.items() if len(span.tokens) > span.first >= 1}


def question_spans(
    prompt: Sequence[int], question: Sequence[int], start: Sequence[int], max_length: int, alone: Sequence[int] = ()
) -> dict[str, Span]:
    """Return the tokens of which the losses of an instruction are wanted, given its response and alone.

    The same tokens of the instruction count in both. What is too long loses the end of the instruction, then the
    beginning of the response.

    :param prompt: token ids of the response and what stands around it.
    :param question: token ids of the instruction.
    :param start: what stands before a text: BOS or EOS, or nothing.
    :param max_length: tokens that the model reads at most.
    :param alone: token ids of what stands before an instruction without its response.
    :return: the spans, those without a token whose loss counts left out.
    """
    bare = (*start, *alone)
    scored = tuple(question[: max_length - max(len(bare), len(start) + 1)])
    room = max_length - len(start) - len(scored)
    before = (*start, *(prompt[-room:] if room else ()))
    spans = {
        "question_given": Span((*before, *scored), len(before)),
        "question_alone": Span((*bare, *scored), max(1, len(bare))),
    }
    return {name: span for name, span in spans.items() if len(span.tokens) > span.first >= 1}


def measured(measure: str, losses: Mapping[str, float]) -> Score:
    """Return a measure.

    :param measure: `ifd`: perplexity of the response given the prompt over its perplexity alone, exp(given - alone);
        `ifd_loss_ratio`: given / alone; `perplexity`: exp(given); `sample_perplexity`: exp(whole); `reverse_ifd`:
        perplexity of the instruction given the response over its perplexity alone; `upd`: the mean surprise.
    :param losses: mean token losses, natural logarithm.
    :return: the measure; `response_too_short` if a loss that it needs is not there, `not_finite` if it is no finite
        number.
    """
    if any(name not in losses for name in NEEDS[measure]):
        return Score.missing("response_too_short")
    values = [losses[name] for name in NEEDS[measure]]
    try:
        value = _FORMULAS[measure](*values)
    except (OverflowError, ZeroDivisionError):
        return Score.missing("not_finite")
    # An infinite loss of the response alone would make an IFD of 0.
    return Score(value) if all(map(math.isfinite, (*values, value))) else Score.missing("not_finite")


def _ratio_of_perplexities(given: float, alone: float) -> float:
    return math.exp(given - alone)


_FORMULAS: Mapping[str, Callable[..., float]] = {
    "ifd": _ratio_of_perplexities,
    "ifd_loss_ratio": lambda given, alone: given / alone,
    "perplexity": math.exp,
    "sample_perplexity": math.exp,
    "reverse_ifd": _ratio_of_perplexities,
    "upd": float,
}
