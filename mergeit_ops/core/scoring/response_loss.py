"""How hard a language model finds a response with and without its instruction: perplexity and IFD.

Sources: Li et al., "From Quantity to Quality" (arXiv 2308.12032, Cherry): the ratio of mean token losses; Li et al.,
"Superfiltering" (arXiv 2402.00530): the ratio of perplexities, which orders rows differently; Li et al., "Selective
Reflection-Tuning" (arXiv 2402.10110): the same ratio of the instruction, given its response; D3 (arXiv 2503.11441):
losses of tokens about which the model was sure.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import mul

from mergeit_ops.core.scoring.score import Score

__all__ = [
    "MEASURES",
    "NEEDS",
    "TURNS",
    "UPD",
    "Span",
    "TokenTurn",
    "measured",
    "measured_over",
    "question_spans",
    "response_spans",
    "turn_spans",
]

MEASURES: Mapping[str, str] = {
    "ifd": "ifd",
    "ifd_loss_ratio": "ifd_loss_ratio",
    "perplexity": "response_perplexity",
    "sample_perplexity": "sample_perplexity",
    "reverse_ifd": "reverse_ifd",
    "upd": "upd",
}
"""Maps the name of each measure to the key of its stat. No key equals one of Data-Juicer's, whose filters would
otherwise use the value of another model."""


@dataclass(frozen=True)
class Span:
    """Tokens whose mean loss is wanted.

    :param tokens: token ids that the model reads. Spans of the same tokens are read in one pass.
    :param first: position of the first token whose loss counts, >= 1.
    :param end: position after the last token whose loss counts; None: all tokens from the first on count.
    """

    tokens: tuple[int, ...]
    first: int
    end: int | None = None

    @property
    def stop(self) -> int:
        """Position after the last token whose loss counts, and after all tokens on which its loss depends."""
        return len(self.tokens) if self.end is None else self.end

    @property
    def count(self) -> int:
        """Number of tokens that count."""
        return self.stop - self.first


NEEDS: Mapping[str, tuple[str, ...]] = {
    "ifd": ("given", "alone"),
    "ifd_loss_ratio": ("given", "alone"),
    "perplexity": ("given",),
    "sample_perplexity": ("whole",),
    "reverse_ifd": ("question_given", "question_alone"),
    "upd": ("given_upd",),
}
"""The losses that each measure needs: the loss of the response given its prompt, of the response alone, of prompt and
response as one text, of the instruction given its response, and of the instruction alone; and the mean surprise of the
response given its prompt."""

UPD = "_upd"
"""Suffix of a span's name if its mean surprise is wanted instead of its mean loss; see `LossModel`."""


def response_spans(
    prompt: Sequence[int],
    response: Sequence[int],
    start: Sequence[int],
    max_length: int,
    alone: Sequence[int] = (),
) -> dict[str, Span] | str:
    """Return the spans whose losses are wanted; see `NEEDS`.

    If the tokenizer adds no start token, like GPT-2's, the first token of the response alone has no loss, while after
    the prompt every token has one. The released code counts and cuts in this way.

    :param prompt: token ids of the prompt, without special tokens.
    :param response: token ids of the response, without special tokens.
    :param start: the tokens before a text: BOS or EOS, or none.
    :param max_length: most tokens that the model reads; the end of a longer response is cut.
    :param alone: token ids of the text before a response without its prompt.
    :return: the spans, without those in which no token counts; or why there are none: `empty_response` or
        `instruction_too_long`.
    """
    if not response:
        return "empty_response"
    bare = (*start, *alone)
    room = max_length - max(len(start) + len(prompt), len(bare))
    if room < 1:
        return "instruction_too_long"
    before = (*start, *prompt)
    # One more if no token precedes it, because the first token has no loss then.
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
    """Return the spans for the losses of an instruction, given its response and alone.

    The same tokens of the instruction count in both. If a text is too long, the end of the instruction is cut first,
    then the beginning of the response.

    :param prompt: token ids of the response and the text around it.
    :param question: token ids of the instruction.
    :param start: the tokens before a text: BOS or EOS, or none.
    :param max_length: most tokens that the model reads.
    :param alone: token ids of the text before an instruction without its response.
    :return: the spans, without those in which no token counts.
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


@dataclass(frozen=True)
class TokenTurn:
    """An answer of the assistant, as token ids without special tokens.

    :param before: tokens before the answer: the question and the text around it.
    :param response: the answer.
    :param continues: whether `before` follows the answer of the previous turn; otherwise it is the whole text before
        this answer, including earlier turns.
    """

    before: Sequence[int]
    response: Sequence[int]
    continues: bool = False


def turn_spans(
    turns: Sequence[TokenTurn], start: Sequence[int], max_length: int, alone: Sequence[int] = ()
) -> list[dict[str, Span]] | str:
    """Return the spans whose losses are wanted for each turn of a conversation; see `response_spans`.

    Each turn is given all turns before it. The spans of turns that continue each other have the same tokens, so that
    the model reads a conversation only once. `whole` is the whole conversation and belongs to the last turn.

    :param turns: at least one.
    :param start: the tokens before a text: BOS or EOS, or none.
    :param max_length: most tokens that the model reads; later turns are left out.
    :param alone: token ids of the text before a response alone.
    :return: the spans of each turn, up to the last turn with a remaining token; or why there are none.
    """
    found: list[dict[str, Span]] = []
    read: list[int] = []
    first = 0  # turn at which the text begins
    reason = ""
    for turn in turns:
        if not turn.continues:
            _share_tokens(found[first:])
            read, first = [], len(found)
        read += turn.before
        spans = response_spans(read, turn.response, start, max_length, alone)
        if isinstance(spans, str):
            reason = reason or spans
            if spans == "instruction_too_long":
                break  # later turns have even more tokens before them
            spans = {}
        else:
            for earlier in found:
                earlier.pop("whole", None)
        found.append(spans)
        read += turn.response
    _share_tokens(found[first:])
    return found if any(found) else reason


def _share_tokens(turns: Sequence[dict[str, Span]]) -> None:
    """Give turns that continue each other the same tokens, those of the last turn."""
    given = [spans["given"] for spans in turns if "given" in spans]
    for spans in turns:
        if "given" in spans and spans["given"] is not given[-1]:
            spans["given"] = Span(given[-1].tokens, spans["given"].first, spans["given"].stop)


TURNS = ("mean", "max")
"""Ways to combine the measures of a conversation's turns; see `measured_over`."""


def measured_over(
    measure: str, turns: Sequence[Mapping[str, float]], tokens: Sequence[Mapping[str, int]], over: str = "mean"
) -> Score:
    """Return a measure of a conversation.

    :param measure: see `measured`.
    :param turns: the mean token losses of each turn, at least one turn. Turns that lack a needed loss do not count.
    :param tokens: number of tokens of each mean loss.
    :param over: `mean`: the measure of the mean losses over the tokens of all turns; `max`: the largest measure of a
        turn.
    :return: the measure of a single turn, if there is only one; otherwise see `measured`.
    """
    needs = NEEDS[measure]
    counted = [number for number, losses in enumerate(turns) if all(name in losses for name in needs)]
    if len(counted) < 2:
        return measured(measure, turns[counted[0] if counted else 0])
    if over == "max":
        scores = [measured(measure, turns[number]) for number in counted]
        without = [score for score in scores if score.value is None]
        return without[0] if without else max(scores, key=lambda score: score.value or 0.0)
    means = {}
    for name in needs:
        weights = [tokens[number][name.removesuffix(UPD)] for number in counted]
        losses = [turns[number][name] for number in counted]
        means[name] = sum(map(mul, weights, losses)) / sum(weights)
    return measured(measure, means)


def measured(measure: str, losses: Mapping[str, float]) -> Score:
    """Return a measure.

    :param measure: `ifd`: perplexity of the response given the prompt, divided by its perplexity alone, exp(given -
        alone); `ifd_loss_ratio`: given / alone; `perplexity`: exp(given); `sample_perplexity`: exp(whole);
        `reverse_ifd`: perplexity of the instruction given the response, divided by its perplexity alone; `upd`: the
        mean surprise.
    :param losses: mean token losses, natural logarithm.
    :return: the measure; `response_too_short` if a needed loss is missing, `not_finite` if it is not a finite number.
    """
    if any(name not in losses for name in NEEDS[measure]):
        return Score.missing("response_too_short")
    values = [losses[name] for name in NEEDS[measure]]
    try:
        value = _FORMULAS[measure](*values)
    except (OverflowError, ZeroDivisionError):
        return Score.missing("not_finite")
    # An infinite loss of the response alone would give an IFD of 0.
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
