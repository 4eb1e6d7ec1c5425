"""The Deita scorers on an OpenAI-compatible server, read from the log-probabilities of the first token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.constraints import FLAG, OneOf, check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.deita import PUBLISHED_MODELS, SCORES, complexity_prompt, expected_score, quality_prompt
from mergeit_ops.core.scoring.digit_logprobs import parse_digit_logprobs
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.engine import build_logprobs_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings, takes_settings
from mergeit_ops.scorers.llm_scorer import LLMScorer
from mergeit_ops.scorers.text import blank_reason

__all__ = ["DeitaApiScorer"]


class DeitaApiScorer(LLMScorer):
    """Asks a server for the text completion of the scorer's own prompt, one token long, at temperature 0. The score is
    the mean of 1 to 6, weighted by the probabilities of the six digits in the first position (Deita, arXiv 2312.15685).
    They do not depend on the token that is drawn.

    If a digit is missing among the `top_logprobs`, the row has no score, with the status `digits_missing`. If the model
    is sure of one digit, the other digits may rank below many other tokens. If many rows have no score for this reason,
    allow more tokens on the server (vLLM: `--max-logprobs 100`) and raise `top_logprobs`. Nothing is truncated, because
    only the server has the tokenizer. It refuses a prompt beyond its window, and the row has no score (`too_long`). If
    the server returns no log-probabilities, the run stops at the first row.

    It also takes the parameters of `LLMSettings`, except those of a chat or a local model.

    :param api_or_hf_model: name of the model on the server; None: the published model of this `kind`.
    :param api_endpoint: path below the base URL; None: `/completions`.
    :param kind: `quality` scores the response to a question; `complexity` scores the question alone.
    :param with_input: whether the question is the instruction and the input; false: the instruction alone, as in the
        released code.
    :param top_logprobs: number of tokens whose log-probability is requested, at least 6; vLLM allows 20 by default and
        refuses more than it allows.
    :raises RecipeError: if a parameter cannot work. The sentence names it, what is allowed and what was given.
    """

    @takes_settings("is_hf_model", "backend", "response_path", "sampling_params", "warm_up", "try_num")
    def __init__(
        self,
        *,
        api_or_hf_model: str | None = None,
        api_endpoint: str | None = None,
        kind: str = "quality",
        with_input: bool = True,
        top_logprobs: int = 20,
        llm: Mapping[str, Any],
    ) -> None:
        check({"with_input": FLAG, "kind": OneOf(PUBLISHED_MODELS)}, locals(), "deita_api")
        model = PUBLISHED_MODELS[kind] if api_or_hf_model is None else api_or_hf_model
        try:
            settings = LLMSettings(api_or_hf_model=model, api_endpoint=api_endpoint, **llm)
            engine = build_logprobs_engine(settings, top_logprobs)
        except RecipeError as error:
            raise RecipeError(f"deita_api: {error}") from error
        super().__init__(engine)
        self.kind = kind
        self.scale = (min(SCORES), max(SCORES))
        self.with_input = with_input
        self.measures: Mapping[str, str] = {kind: f"deita_{kind}_score"}

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        return {**super().identity(), "kind": self.kind, "with_input": self.with_input}

    def blank_reason(self, sample: Sample) -> str | None:
        """See `LLMScorer`. As in the other scorers on this scale, an answer without a letter or a digit counts as
        empty."""
        return blank_reason(self._question(sample), sample.output if self.kind == "quality" else None)

    def request(self, sample: Sample) -> LLMRequest[tuple[float, ...]]:
        """See `LLMScorer`."""
        question = self._question(sample)
        asked = quality_prompt(question, sample.output) if self.kind == "quality" else complexity_prompt(question)
        prompt = {"role": "user", "content": asked}
        return LLMRequest(tag=None, messages=(prompt,), parse=parse_digit_logprobs, completion_tokens=1)

    def value(self, answers: Sequence[tuple[float, ...]]) -> float:
        """See `LLMScorer`."""
        return expected_score(answers[0])

    def _question(self, sample: Sample) -> str:
        return sample.query if self.with_input else sample.instruction
