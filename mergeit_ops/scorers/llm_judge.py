"""A language model that judges rows by a rubric, over any OpenAI-compatible server or through transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, ClassVar

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.judging import JUDGE_SCHEMA, judge_messages, parse_judgement
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.engine import CACHE_AUTO, build_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.validation import number
from mergeit_ops.scorers.llm_scorer import LLMScorer

__all__ = ["LLMJudgeScorer"]

_SEVERAL_TEMPERATURE = 0.7
_JUDGEMENT_TOKENS = 100


class LLMJudgeScorer(LLMScorer):
    """Asks a model for a score from 1 to 6, the scale of the Deita scorers, by a rubric: helpfulness, accuracy,
    completeness with regard to every demand of the task, clarity.

    The answer is a JSON object, reason first. One that is not exactly that, with a number from 1 to 6, is asked for
    again up to `try_num` times; then the row has no score, never a default.

    What to know of judges: each row is judged alone, so no order of two answers can sway it, but models tend to favour
    longer answers, which merges are, and those a model of their own family wrote. The rubric says that length earns
    nothing, which lessens the first; a judge from another family than the merging model avoids the second.

    :param api_or_hf_model: name of the model, as the server knows it, or of a Hugging Face model.
    :param is_hf_model: false: an OpenAI-compatible server; true: a local model through transformers.
    :param api_endpoint: path below the base URL; None: `/chat/completions`.
    :param response_path: where in a response the text is; None: `choices.0.message.content`.
    :param model_params: of the client, e.g. `base_url`. The key comes from the environment (OPENAI_API_KEY).
    :param sampling_params: fields of the request; None: temperature 0, or 0.7 when `n` is above 1.
    :param rubric: replaces the built-in one: what to weigh, and a line for each level from 1 to 6; None keeps it.
    :param n: judgements per row, at least 1, each a call of its own; the score is the mean of those that came, at least
        one. They differ by chance alone, so more than one needs a temperature above 0.
    :param try_num: answers asked for, at least 1, until one can be read. At temperature 0 the next one is often the
        same.
    :param max_concurrency: calls in flight at most, 1 to 1000.
    :param timeout_s: seconds for one call, above 0.
    :param cache_path: file or folder of the journal; `auto`: the user's cache folder; None: no journal.
    :param max_failure_ratio: share of rows, 0 to 1, that may fail before the run stops.
    :param max_total_tokens: tokens the scorer may spend, at least 1; None: no bound. Rows beyond have no score, with
        the status `budget`.
    :param price_per_1k_prompt: what 1,000 tokens sent cost, at least 0; with the next one the figures tell the cost.
        None: not known.
    :param price_per_1k_completion: what 1,000 tokens received cost, at least 0; None: not known.
    :param accelerator: `cpu` or `cuda` for a local model; None: a GPU where there is one.
    :raises RecipeError: one sentence with parameter, what is allowed and what was given.
    """

    measures: ClassVar[Mapping[str, str]] = {"judge": "judge_score"}

    def __init__(
        self,
        *,
        api_or_hf_model: str = "gpt-4o",
        is_hf_model: bool = False,
        api_endpoint: str | None = None,
        response_path: str | None = None,
        model_params: Mapping[str, Any] | None = None,
        sampling_params: Mapping[str, Any] | None = None,
        rubric: str | None = None,
        n: int = 1,
        try_num: int = 3,
        max_concurrency: int = 64,
        timeout_s: float = 120.0,
        cache_path: str | None = CACHE_AUTO,
        max_failure_ratio: float = 0.5,
        max_total_tokens: int | None = None,
        price_per_1k_prompt: float | None = None,
        price_per_1k_completion: float | None = None,
        accelerator: str | None = None,
    ) -> None:
        if rubric is not None and (not isinstance(rubric, str) or not rubric.strip()):
            raise RecipeError(f"llm_judge: rubric must be a text or null, got {rubric!r}.")
        if not isinstance(is_hf_model, bool):
            raise RecipeError(f"llm_judge: is_hf_model must be true or false, got {is_hf_model!r}.")
        try:
            self.n = number("n", n, 1)
            engine = build_engine(
                api_or_hf_model=api_or_hf_model,
                is_hf_model=is_hf_model,
                api_endpoint=api_endpoint,
                response_path=response_path,
                model_params=model_params,
                sampling_params=sampling_params,
                try_num=try_num,
                max_concurrency=max_concurrency,
                timeout_s=timeout_s,
                cache_path=cache_path,
                max_failure_ratio=max_failure_ratio,
                max_total_tokens=max_total_tokens,
                price_per_1k_prompt=price_per_1k_prompt,
                price_per_1k_completion=price_per_1k_completion,
                accelerator=accelerator,
                default_sampling_params={"temperature": 0 if self.n == 1 else _SEVERAL_TEMPERATURE},
            )
        except RecipeError as error:
            raise RecipeError(f"llm_judge: {error}") from error
        if self.n > 1 and (sampling_params or {}).get("temperature") == 0:
            raise RecipeError(
                f"llm_judge: n must be 1 at temperature 0, where every judgement of a row is the same, got {n}; give a "
                "temperature above 0 in sampling_params."
            )
        super().__init__(engine)
        self.rubric = rubric

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        return {**super().identity(), "rubric": self.rubric, "n": self.n}

    def request(self, sample: Sample) -> LLMRequest[float]:
        """See `LLMScorer`."""
        return LLMRequest(
            tag=None,
            messages=judge_messages(sample, self.rubric),
            parse=parse_judgement,
            num_candidates=self.n,
            schema=JUDGE_SCHEMA,
            completion_tokens=_JUDGEMENT_TOKENS,
        )

    def value(self, answers: Sequence[float]) -> float:
        """See `LLMScorer`: the mean."""
        return fmean(answers)
