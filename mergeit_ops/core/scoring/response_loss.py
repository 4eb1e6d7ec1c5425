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
"""Name of each measure to the key of its stat. No key is one of Data-Juicer's own: its filters would take the value of
another model for theirs."""


@dataclass(frozen=True)
class Span:
    """Tokens of which a model's mean loss is wanted.

    :param tokens: token ids, as the model reads them. Spans of the same tokens are read in one pass.
    :param first: position of the first one whose loss counts, >= 1.
    :param end: position behind the last one whose loss counts; None: all from the first on count.
    """

    tokens: tuple[int, ...]
    first: int
    end: int | None = None

    @property
    def stop(self) -> int:
        """Position behind the last token whose loss counts, and behind all that its loss depends on."""
        return len(self.tokens) if self.end is None else self.end

    @property
    def count(self) -> int:
        """How many tokens count."""
        return self.stop - self.first


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
    bare = (*start, *alone)
    room = max_length - max(len(start) + len(prompt), len(bare))
    if room < 1:
        return "instruction_too_long"
    before = (*start, *prompt)
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


@dataclass(frozen=True)
class TokenTurn:
    """An answer of the assistant, as token ids without special tokens.

    :param before: what stands before it: the question and what stands around it.
    :param response: the answer.
    :param continues: whether `before` stands behind the answer of the turn before; else it is all that stands before
        this one, earlier turns included.
    """

    before: Sequence[int]
    response: Sequence[int]
    continues: bool = False


def turn_spans(
    turns: Sequence[TokenTurn], start: Sequence[int], max_length: int, alone: Sequence[int] = ()
) -> list[dict[str, Span]] | str:
    """Return the tokens of which the losses are wanted, for each turn of a conversation; see `response_spans`.

    Each turn is given all turns before it, and the spans of turns that continue each other are of the same tokens, so
    that the model reads a conversation once. `whole` is the whole conversation, and is with the last turn.

    :param turns: at least one.
    :param start: what stands before a text: BOS or EOS, or nothing.
    :param max_length: tokens that the model reads at most; turns behind them are left out.
    :param alone: token ids of what stands before a response alone.
    :return: the spans of each turn, up to the last of which a token is left; or why there is none.
    """
    found: list[dict[str, Span]] = []
    read: list[int] = []
    first = 0  # turn with which the text begins
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
                break  # later turns stand behind still more
            spans = {}
        else:
            for earlier in found:
                earlier.pop("whole", None)
        found.append(spans)
        read += turn.response
    _share_tokens(found[first:])
    return found if any(found) else reason


def _share_tokens(turns: Sequence[dict[str, Span]]) -> None:
    """Have turns that continue each other be spans of the same tokens, those of the last."""
    given = [spans["given"] for spans in turns if "given" in spans]
    for spans in turns:
        if "given" in spans and spans["given"] is not given[-1]:
            spans["given"] = Span(given[-1].tokens, spans["given"].first, spans["given"].stop)


TURNS = ("mean", "max")
"""How the measures of the turns of a conversation become one; see `measured_over`."""


def measured_over(
    measure: str, turns: Sequence[Mapping[str, float]], tokens: Sequence[Mapping[str, int]], over: str = "mean"
) -> Score:
    """Return a measure of a conversation.

    :param measure: see `measured`.
    :param turns: the mean token losses of each turn, at least one turn. Turns without a loss that the measure needs do
        not count.
    :param tokens: how many tokens each loss is the mean of.
    :param over: `mean`: the measure of the mean losses over the tokens of all turns; `max`: the largest measure of a
        turn.
    :return: of one turn its own measure; else see `measured`.
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
