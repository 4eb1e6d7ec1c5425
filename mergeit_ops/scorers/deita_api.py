"""The Deita quality scorer behind an OpenAI-compatible server, read from the log-probabilities of its first token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.deita import expected_score, quality_prompt
from mergeit_ops.core.scoring.digit_logprobs import parse_digit_logprobs
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.engine import CACHE_AUTO, build_logprobs_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.scorers.llm_scorer import LLMScorer
from mergeit_ops.scorers.text import blank_reason

__all__ = ["DeitaApiScorer"]


class DeitaApiScorer(LLMScorer):
    """Asks a server for the text completion of the scorer's own prompt, one token long, at temperature 0. The score is
    the mean of 1 to 6, weighted by the probabilities of the six digits in the first position (Deita, arXiv 2312.15685),
    which do not depend on what is drawn there.

    A digit that is missing among the `top_logprobs` makes no score, `quality_status` `digits_missing`: nothing is put
    in its place. A scorer that is sure leaves unlikely digits far behind; where many rows have no score for that, allow
    more on the server (vLLM: `--max-logprobs 100`) and ask for more. Nothing is truncated, since only the server has
    the tokenizer: it refuses a prompt beyond its window, and the row has no score (`too_long`). A server that gives
    no log-probabilities stops the run at the first row.

    :param api_or_hf_model: name of the model, as the server knows it.
    :param api_endpoint: path below the base URL; None: `/completions`.
    :param model_params: of the client, e.g. `base_url`. The key comes from the environment (OPENAI_API_KEY).
    :param with_input: whether the question is the instruction and the input; false: the instruction alone, as in the
        released code.
    :param top_logprobs: tokens whose log-probability is asked for, at least 6; 20 is all that vLLM allows unless told
        otherwise, and more than it allows is refused.
    :param max_concurrency: calls in flight at most, 1 to 1000.
    :param timeout_s: seconds for one call, above 0.
    :param cache_path: file or folder of the journal; `auto`: the user's cache folder; None: no journal.
    :param max_failure_ratio: share of rows, 0 to 1, that may fail before the run stops.
    :param max_total_tokens: tokens the scorer may spend, at least 1; None: no bound. Rows beyond have no score, with
        the status `budget`.
    :param price_per_1k_prompt: what 1,000 tokens sent cost, at least 0; with the next one the figures tell the cost.
        None: not known.
    :param price_per_1k_completion: what 1,000 tokens received cost, at least 0; None: not known.
    :raises RecipeError: one sentence with parameter, what is allowed and what was given.
    """

    measures: ClassVar[Mapping[str, str]] = {"quality": "deita_quality_score"}

    def __init__(
        self,
        *,
        api_or_hf_model: str = "hkust-nlp/deita-quality-scorer",
        api_endpoint: str | None = None,
        model_params: Mapping[str, Any] | None = None,
        with_input: bool = True,
        top_logprobs: int = 20,
        max_concurrency: int = 64,
        timeout_s: float = 120.0,
        cache_path: str | None = CACHE_AUTO,
        max_failure_ratio: float = 0.5,
        max_total_tokens: int | None = None,
        price_per_1k_prompt: float | None = None,
        price_per_1k_completion: float | None = None,
    ) -> None:
        if not isinstance(with_input, bool):
            raise RecipeError(f"deita_api: with_input must be true or false, got {with_input!r}.")
        try:
            engine = build_logprobs_engine(
                api_or_hf_model=api_or_hf_model,
                api_endpoint=api_endpoint,
                model_params=model_params,
                top_logprobs=top_logprobs,
                max_concurrency=max_concurrency,
                timeout_s=timeout_s,
                cache_path=cache_path,
                max_failure_ratio=max_failure_ratio,
                max_total_tokens=max_total_tokens,
                price_per_1k_prompt=price_per_1k_prompt,
                price_per_1k_completion=price_per_1k_completion,
            )
        except RecipeError as error:
            raise RecipeError(f"deita_api: {error}") from error
        super().__init__(engine)
        self.with_input = with_input

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        return {**super().identity(), "with_input": self.with_input}

    def blank_reason(self, sample: Sample) -> str | None:
        """See `LLMScorer`. As for the other scorers of this scale, an answer without a letter or a digit is none."""
        return blank_reason(self._question(sample), sample.output)

    def request(self, sample: Sample) -> LLMRequest[tuple[float, ...]]:
        """See `LLMScorer`."""
        prompt = {"role": "user", "content": quality_prompt(self._question(sample), sample.output)}
        return LLMRequest(tag=None, messages=(prompt,), parse=parse_digit_logprobs, completion_tokens=1)

    def value(self, answers: Sequence[tuple[float, ...]]) -> float:
        """See `LLMScorer`."""
        return expected_score(answers[0])

    def _question(self, sample: Sample) -> str:
        return sample.query if self.with_input else sample.instruction
