"""SelectIT on an OpenAI-compatible server, read from the log-probabilities of the first token."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import Any, ClassVar

from mergeit_ops.constraints import check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.digit_logprobs import parse_digit_logprobs
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.scoring.selectit import RATINGS, prompt_parts, sentence_score, token_score
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.engine import LLMEngine, build_logprobs_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings, takes_settings
from mergeit_ops.scorers.llm_scorer import LLMScorer
from mergeit_ops.scorers.selectit import RATING_CONSTRAINTS, checked_prompts
from mergeit_ops.scorers.text import blank_reason

__all__ = ["SelectitApiScorer"]


class _OnePrompt(LLMScorer):
    """Scores rows by one rating prompt.

    :param engine: what answers.
    :param prompt: the prompt.
    """

    def __init__(self, engine: LLMEngine, prompt: str) -> None:
        super().__init__(engine)
        self._prompt = prompt

    def blank_reason(self, sample: Sample) -> str | None:
        """See `LLMScorer`."""
        return blank_reason(sample.query, sample.output)

    def request(self, sample: Sample) -> LLMRequest[tuple[float, ...]]:
        """See `LLMScorer`."""
        before, behind = prompt_parts(self._prompt, sample.query)
        turn = {"role": "user", "content": before + sample.output + behind}
        parse = partial(parse_digit_logprobs, highest=RATINGS[-1])
        return LLMRequest(tag=None, messages=(turn,), parse=parse, completion_tokens=1)

    def value(self, answers: Sequence[tuple[float, ...]]) -> float:
        """See `LLMScorer`."""
        return token_score(answers[0])


class SelectitApiScorer:
    """Asks a server for the text completion of each rating prompt, one token long; the score is that of `selectit`.

    It makes one call for each prompt and row. If a digit is missing among the `top_logprobs`, the row has no score
    (`digits_missing`). Nothing is truncated, because only the server has the tokenizer. If the server returns no
    log-probabilities, the run stops at the first row.

    It also takes the parameters of `LLMSettings`, except those of a chat or a local model.

    :param api_or_hf_model: name of the model on the server.
    :param api_endpoint: path below the base URL; None: `/completions`.
    :param num_prompts: see `selectit`; each is a call per row.
    :param alpha: see `selectit`.
    :param rating_prompts: see `selectit`.
    :param top_logprobs: number of tokens whose log-probability is requested, at least 6; see `deita_api`.
    :raises RecipeError: if a parameter cannot work. The sentence names it, what is allowed and what was given.
    """

    measures: ClassVar[Mapping[str, str]] = {"selectit": "selectit_score"}

    @takes_settings("is_hf_model", "backend", "response_path", "sampling_params", "warm_up", "try_num")
    def __init__(
        self,
        *,
        api_or_hf_model: str,
        api_endpoint: str | None = None,
        num_prompts: int | None = None,
        alpha: float = 0.2,
        rating_prompts: Sequence[str] | None = None,
        top_logprobs: int = 20,
        llm: Mapping[str, Any],
    ) -> None:
        check(RATING_CONSTRAINTS, locals(), "selectit_api")
        self.prompts = checked_prompts("selectit_api", num_prompts, rating_prompts)
        self.alpha = float(alpha)
        try:
            settings = LLMSettings(api_or_hf_model=api_or_hf_model, api_endpoint=api_endpoint, **llm)
            engine = build_logprobs_engine(settings, top_logprobs)
        except RecipeError as error:
            raise RecipeError(f"selectit_api: {error}") from error
        self._scorers = [_OnePrompt(engine, prompt) for prompt in self.prompts]

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        return {**self._scorers[0].identity(), "prompts": list(self.prompts), "alpha": self.alpha}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows; see `LLMScorer.score`. A row without a score for one prompt has no score."""
        parts = [scorer.score(samples) for scorer in self._scorers]
        return [self._combined(scores) for scores in zip(*parts, strict=True)]

    def _combined(self, scores: Sequence[Score]) -> Score:
        values = [score.value for score in scores if score.value is not None]
        if len(values) < len(scores):
            return next(score for score in scores if score.value is None)
        return Score(sentence_score(values, self.alpha))

    def plan(self, samples: Sequence[Sample]) -> Mapping[str, Any]:
        """See `PlanningScorer`."""
        plans = [scorer.plan(samples) for scorer in self._scorers]
        return {name: sum(plan[name] for plan in plans) for name in plans[0]}

    def engines(self) -> Sequence[LLMEngine]:
        """See `PayingScorer`."""
        return self._scorers[0].engines()

    def finish(self) -> None:
        """See `ReportingScorer`."""
        self._scorers[0].finish()

    def figures(self) -> Mapping[str, Any]:
        """See `ReportingScorer`: the figures of all prompts, which share an engine."""
        return self._scorers[0].figures()
