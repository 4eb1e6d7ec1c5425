"""How hard a language model finds a response, with its instruction and without it: IFD, and plain perplexity.

Sources: Li et al., "From Quantity to Quality" (arXiv 2308.12032, Cherry): the ratio of mean token losses; Li et al.,
"Superfiltering" (arXiv 2402.00530): the ratio of perplexities, which orders rows otherwise.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass

from mergeit_ops.core.sample import Sample

MEASURES: Mapping[str, str] = {
    "ppl_ratio": "ifd_ppl_ratio",
    "loss_ratio": "ifd_loss_ratio",
    "perplexity": "sample_perplexity",
}
"""What can be measured, and the key of the stats that holds it. None of them is one of Data-Juicer's own keys: its
filters take a key that is there for their own work."""

STATUS = "superfiltering_status"
OK = "ok"


@dataclass(frozen=True)
class Span:
    """Tokens of which a model's mean loss is wanted.

    :param tokens: token ids, as the model reads them.
    :param first: position of the first one whose loss counts, >= 1; all after it count too.
    """

    tokens: tuple[int, ...]
    first: int


def prompt_text(sample: Sample) -> str:
    """Return what stands before the response: instruction, and input where there is one, each on lines of its own."""
    return f"{sample.instruction}\n{sample.input}\n" if sample.input else f"{sample.instruction}\n"


def sample_text(sample: Sample) -> str:
    """Return a whole sample as one text: prompt and response."""
    return prompt_text(sample) + sample.output


def response_spans(
    prompt: Sequence[int], response: Sequence[int], start: Sequence[int], max_length: int
) -> tuple[Span, Span] | str:
    """Return the response behind its prompt, and alone.

    Where the tokenizer puts nothing first, as GPT-2's, the first token of the response alone has no loss, while behind
    the prompt every one has: so the released code counts, and so it is cut.

    :param prompt: token ids of the prompt, without special tokens.
    :param response: token ids of the response, without special tokens.
    :param start: what the tokenizer puts before a text: BOS, or nothing.
    :param max_length: tokens that the model reads at most; the end of a longer response is cut.
    :return: the two spans; or why there are none: `empty_response`, `response_too_short`, `instruction_too_long`.
    """
    if not response:
        return "empty_response"
    before = (*start, *prompt)
    room = max_length - len(before)
    if room < 1:
        return "instruction_too_long"
    alone = (*start, *response)[: room + 1]
    if len(alone) < 2:
        return "response_too_short"
    return Span((*before, *response[:room]), len(before)), Span(alone, 1)


def difficulty(measure: str, losses: Sequence[float]) -> float | None:
    """Return a measure from mean token losses.

    :param measure: `ppl_ratio`: exp(with - without) of the loss behind the prompt and the loss alone; `loss_ratio`:
        with / without; `perplexity`: exp of the one loss.
    :param losses: the mean token losses, natural logarithm, of the spans in order.
    :return: the value; None if it is no finite number.
    """
    if not all(map(math.isfinite, losses)):
        return None
    try:
        if measure == "loss_ratio":
            value = losses[0] / losses[1]
        else:
            value = math.exp(losses[0] - losses[1] if measure == "ppl_ratio" else losses[0])
    except (OverflowError, ZeroDivisionError):
        return None
    return value if math.isfinite(value) else None
