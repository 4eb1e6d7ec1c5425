"""How hard a causal language model finds each response: IFD and perplexity, from one set of forward passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mergeit_ops.constraints import (
    MAPPING,
    OPTIONAL_TEXT,
    TEXT,
    Constraint,
    Number,
    OneOf,
    SomeOf,
    check,
)
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.response_loss import (
    MEASURES,
    NEEDS,
    Span,
    measured,
    prompt_text,
    response_spans,
)
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.llm.huggingface import checked_model_params, default_device
from mergeit_ops.llm.losses import START_TOKENS, LossModel, load_loss_model
from mergeit_ops.llm.model_files import model_identity

__all__ = ["DTYPES", "ResponseLossScorer"]

DTYPES = ("float32", "bfloat16", "float16")

_CONSTRAINTS: Mapping[str, Constraint] = {
    "measures": SomeOf(MEASURES),
    "hf_model": TEXT,
    "model_params": MAPPING,
    "dtype": OneOf(DTYPES),
    "start_token": OneOf(START_TOKENS),
    "max_length": Number(low=2, integer=True),
    "device": OPTIONAL_TEXT,
}


class ResponseLossScorer:
    """Scores rows by the losses of a causal language model. The model loads at the first `score`, once per process.

    `ifd` is the score of Superfiltering: perplexity of the response given the instruction over perplexity of the
    response alone. Below 1 the instruction helps, and the closer to 1 the less it does. `ifd_loss_ratio` is Cherry's
    ratio, that of the losses. `perplexity` is that of the response given the instruction, and `sample_perplexity` that
    of instruction and response as one text.

    :param measures: names of the measures, at least one; the first is the score. All of them come from the same
        forward passes.
    :param hf_model: causal language model: a name on the Hugging Face Hub or the path of a folder. The default is
        Superfiltering's, of 124M parameters. For a model that is not public, the environment variable HF_TOKEN holds
        the token.
    :param model_params: further arguments of `from_pretrained`, such as `revision` or `device_map`; never a token.
    :param dtype: type of the model's weights: `float32`, `bfloat16` or `float16`, which halve the memory of large
        models on a GPU.
    :param start_token: what stands before each text: `bos`, the tokenizer's BOS, or its EOS where it has none; `eos`;
        `released`: what the tokenizer puts there by itself. GPT-2's puts nothing there, so the first token of a
        response alone has no loss, and the two means of an IFD are over different tokens. Superfiltering's released
        code counts that way; the difference decides about short responses.
    :param max_length: tokens of a text at most, at least 2, or as many as the model can read where that is less; the
        end of a longer response is cut.
    :param device: `cpu`, `cuda` or `cuda:N`; None takes a GPU where there is one.
    :raises RecipeError: if a parameter cannot work.
    """

    def __init__(
        self,
        *,
        measures: Sequence[str] = ("ifd",),
        hf_model: str = "gpt2",
        model_params: Mapping[str, Any] | None = None,
        dtype: str = "float32",
        start_token: str = "bos",
        max_length: int = 1024,
        device: str | None = None,
    ) -> None:
        check(_CONSTRAINTS, locals(), "response_loss")
        self.measures = {name: MEASURES[name] for name in measures}
        self.no_ratio = "of a perplexity the lower one is better" if "perplexity" in measures[0] else ""
        self.hf_model = hf_model
        self.model_params = checked_model_params("response_loss", model_params)
        self.dtype = dtype
        self.start_token = start_token
        self.max_length = int(max_length)
        self.device = device

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        own = {name: getattr(self, name) for name in ("dtype", "start_token", "max_length")}
        return {**model_identity(self.hf_model, self.model_params), **own}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows by the first measure; see `measure`."""
        return [scores[0] for scores in self.measure(samples)]

    def measure(self, samples: Sequence[Sample]) -> list[tuple[Score, ...]]:
        """Score rows by every measure; those of a row do not depend on the rows around it, beyond float noise.

        :param samples: n rows.
        :return: n tuples with a score for each measure. A row without one has `empty_response`, `response_too_short`,
            `instruction_too_long` or `not_finite`.
        :raises LLMUnavailableError: if the model cannot be loaded, or does not fit into memory.
        """
        if not samples:
            return []
        device = self.device or default_device()
        model = load_loss_model(self.hf_model, self.model_params, device, self.dtype)
        spans = self._spans(model, samples)
        losses = iter(model.mean_losses([span for row in spans if not isinstance(row, str) for span in row.values()]))
        return [self._scores(row, losses) for row in spans]

    def _scores(self, spans: Mapping[str, Span] | str, losses: Iterator[float]) -> tuple[Score, ...]:
        if isinstance(spans, str):
            return (Score.missing(spans),) * len(self.measures)
        found = {name: next(losses) for name in spans}
        return tuple(measured(measure, found) for measure in self.measures)

    def _spans(self, model: LossModel, samples: Sequence[Sample]) -> list[dict[str, Span] | str]:
        """Return the spans of each sample that the measures need, or why it has none."""
        needed = dict.fromkeys(name for measure in self.measures for name in NEEDS[measure])
        most = min(self.max_length, model.most_positions or self.max_length)
        start = model.start(self.start_token)
        prompts = model.tokens([prompt_text(sample) for sample in samples])
        responses = model.tokens([sample.output if sample.output.strip() else "" for sample in samples])
        found = [
            response_spans(prompt, response, start, most) for prompt, response in zip(prompts, responses, strict=True)
        ]
        return [row if isinstance(row, str) else {name: row[name] for name in needed if name in row} for row in found]
