"""How hard a causal language model finds each response: IFD and perplexity, from one set of forward passes."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict
from typing import Any

from mergeit_ops.constraints import (
    MAPPING,
    Constraint,
    OneOf,
    SomeOf,
    check,
)
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.loss_prompts import ASKS_BACK, LOSS_PROMPTS, question_text
from mergeit_ops.core.scoring.response_loss import (
    MEASURES,
    NEEDS,
    UPD,
    Span,
    measured,
    question_spans,
    response_spans,
)
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.llm.losses import LossModel
from mergeit_ops.scorers.loss_settings import LossSettings
from mergeit_ops.scorers.loss_template import loss_template, no_ratio

__all__ = ["ResponseLossScorer"]

_CONSTRAINTS: Mapping[str, Constraint] = {
    "measures": SomeOf(MEASURES),
    "prompt": OneOf((*LOSS_PROMPTS, "chat", "custom")),
    "prompt_template": MAPPING,
}


class ResponseLossScorer:
    """Scores rows by the losses of a causal language model. The model loads at the first `score`, once per process.

    `ifd` is the score of Superfiltering: perplexity of the response given the instruction over perplexity of the
    response alone. Below 1 the instruction helps, and the closer to 1 the less it does. `ifd_loss_ratio` is Cherry's
    ratio, that of the losses. `reverse_ifd` is the ratio of perplexities of the instruction, given the response and
    alone: the lower, the more the response determines its instruction (Selective Reflection-Tuning). `upd` is high
    where the model was sure of its next tokens and wrong (D3). `perplexity` is that of the response given the
    instruction, and `sample_perplexity` that of instruction and response as one text.

    :param measures: names of the measures, at least one; the first is the score. All of them come from the same
        forward passes.
    :param hf_model: causal language model: a name on the Hugging Face Hub or the path of a folder. The default is
        Superfiltering's, of 124M parameters. For a model that is not public, the environment variable HF_TOKEN holds
        the token.
    :param model_params: further arguments of `from_pretrained`, such as `revision` or `device_map`; never a token.
    :param dtype: type of the model's weights: `float32`, `bfloat16` or `float16`, which halve the memory of large
        models on a GPU.
    :param prompt: what stands around instruction and response: `plain`, lines of their own, as in Superfiltering;
        `alpaca`; `vicuna`; `chat`, the model's own chat template; or `custom`. A template that the model does not know
        moves every IFD above 1, so that none of the rows seems worth keeping: take `plain` for a base model.
    :param prompt_template: for `custom`: the texts `without_input`, `with_input`, `alone`, and for `reverse_ifd`
        `reverse` and `reverse_alone`, with the fields `{instruction}`, `{input}` and `{response}`.
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
        prompt: str = "plain",
        prompt_template: Mapping[str, str] | None = None,
        start_token: str = "bos",
        max_length: int = 1024,
        device: str | None = None,
    ) -> None:
        check(_CONSTRAINTS, locals(), "response_loss")
        self.measures = {name: MEASURES[name] for name in measures}
        self.no_ratio = no_ratio(measures[0])
        # It has prompts of its own beside those that all scorers by losses have.
        self._settings = LossSettings(
            "response_loss",
            hf_model,
            model_params,
            dtype,
            start_token=start_token,
            max_length=max_length,
            device=device,
        )
        self.prompt = prompt
        self._template = loss_template("response_loss", prompt, prompt_template, "reverse_ifd" in measures)

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        template = {} if self._template is None else asdict(self._template)
        return {**self._settings.identity(), "prompt": self.prompt, "template": template}

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
        model = self._settings.load()
        spans = self._spans(model, samples)
        asked = [span for row in spans if not isinstance(row, str) for span in row.values()]
        losses = iter(model.losses(asked, surprise=any(map(_is_surprise, self._needed))))
        return [self._scores(row, losses) for row in spans]

    @property
    def _needed(self) -> list[str]:
        return list(dict.fromkeys(name for measure in self.measures for name in NEEDS[measure]))

    def _scores(self, spans: Mapping[str, Span] | str, losses: Iterator[tuple[float, float]]) -> tuple[Score, ...]:
        if isinstance(spans, str):
            return (Score.missing(spans),) * len(self.measures)
        found: dict[str, float] = {}
        for name in spans:
            found[name], found[name + UPD] = next(losses)
        return tuple(measured(measure, found) for measure in self.measures)

    def _spans(self, model: LossModel, samples: Sequence[Sample]) -> list[dict[str, Span] | str]:
        """Return the spans of each sample that the measures need, or why it has none."""
        needed = {name.removesuffix(UPD) for name in self._needed}
        texts = [self._texts(model, sample) for sample in samples]
        prompts, alone, backwards, alone_backwards = (model.tokens(list(part)) for part in zip(*texts, strict=True))
        responses = model.tokens([sample.output if sample.output.strip() else "" for sample in samples])
        questions = model.tokens([question_text(sample) for sample in samples])
        most = self._settings.most_tokens(model)
        start = [] if self.prompt == "chat" and model.writes_start else model.start(self._settings.start_token)
        found: list[dict[str, Span] | str] = []
        for row, (prompt, response) in enumerate(zip(prompts, responses, strict=True)):
            spans = response_spans(prompt, response, start, most, alone[row])
            if not isinstance(spans, str):
                if "question_given" in needed:
                    spans |= question_spans(backwards[row], questions[row], start, most, alone_backwards[row])
                spans = {name: span for name, span in spans.items() if name in needed}
            found.append(spans)
        return found

    def _texts(self, model: LossModel, sample: Sample) -> tuple[str, str, str, str]:
        """Return what stands before the response, and before the instruction: with the other of both, and alone."""
        template = self._template
        if template is not None:
            reverse = template.before_question(sample) if "reverse_ifd" in self.measures else ""
            return template.before_response(sample), template.alone, reverse, template.reverse_alone
        given, alone = model.chat_texts(question_text(sample), sample.system)
        if "reverse_ifd" not in self.measures:
            return given, alone, "", ""
        return given, alone, *model.chat_texts(f"{ASKS_BACK}\n\n{sample.output}")


def _is_surprise(name: str) -> bool:
    return name.endswith(UPD)
