"""A language model that judges rows by a rubric, over any OpenAI-compatible server or through transformers."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from statistics import fmean
from typing import Any, ClassVar

from mergeit_ops.constraints import OPTIONAL_TEXT, Number, check
from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.judging import JUDGE_SCHEMA, judge_messages, parse_judgement
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings, takes_settings
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

    It also takes the parameters of `LLMSettings`. If `sampling_params` is None, the temperature is 0, or 0.7 when `n`
    is above 1. At temperature 0 a second answer is often the same as the first.

    :param rubric: replaces the built-in one: what to weigh, and a line for each level from 1 to 6; None keeps it.
    :param n: judgements per row, at least 1, each a call of its own; the score is the mean of those that came, at least
        one. They differ by chance alone, so more than one needs a temperature above 0.
    :param accelerator: `cpu` or `cuda` for a local model; None: a GPU where there is one.
    :raises RecipeError: one sentence with parameter, what is allowed and what was given.
    """

    measures: ClassVar[Mapping[str, str]] = {"judge": "judge_score"}

    @takes_settings()
    def __init__(
        self,
        *,
        rubric: str | None = None,
        n: int = 1,
        accelerator: str | None = None,
        llm: Mapping[str, Any],
    ) -> None:
        check({"rubric": OPTIONAL_TEXT, "n": Number(low=1, integer=True)}, locals(), "llm_judge")
        self.n = int(n)
        try:
            engine = build_engine(
                LLMSettings(**llm),
                accelerator=accelerator,
                default_sampling_params={"temperature": 0 if self.n == 1 else _SEVERAL_TEMPERATURE},
            )
        except RecipeError as error:
            raise RecipeError(f"llm_judge: {error}") from error
        if self.n > 1 and engine.backend_factory.sampling_params.get("temperature") == 0:
            raise RecipeError(
                f"llm_judge: n must be 1 at temperature 0, where every judgement of a row is the same, got {n}; give a "
                "temperature above 0 in sampling_params."
            )
        super().__init__(engine)
        self.rubric = rubric

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        prompt = prompt_sha256(judge_messages(Sample("", "", ""), self.rubric))
        return {**super().identity(), "prompt": prompt, "n": self.n}

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
