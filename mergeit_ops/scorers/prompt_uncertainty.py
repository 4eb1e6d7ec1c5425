"""How much the probability of a response depends on the exact wording of its instruction."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from dataclasses import replace
from typing import Any, ClassVar

from mergeit_ops.constraints import Constraint, Number, check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.prompt_uncertainty import prompt_uncertainty, with_words_dropped
from mergeit_ops.core.scoring.response_loss import Span
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.llm.losses import LossModel
from mergeit_ops.llm.settings import CACHE_AUTO
from mergeit_ops.scorers.cut_rows import CutRows, CutsRows
from mergeit_ops.scorers.loss_settings import LossSettings

__all__ = ["PromptUncertaintyScorer"]

_CONSTRAINTS: Mapping[str, Constraint] = {
    "num_perturbations": Number(low=1, integer=True),
    "drop_rate": Number(low=0, high=1, low_open=True, high_open=True),
    "seed": Number(integer=True),
}


class PromptUncertaintyScorer(CutsRows):
    """Scores rows by how much the probability of the response changes if some words of the instruction are dropped: the
    mean of |p' - p| over perturbations, where p is the geometric mean of the probabilities of the response's tokens
    (Active Instruction Tuning, arXiv 2311.00288). The input keeps all its words.

    The paper scores tasks by the mean of ten of their rows, and trains on tasks with high uncertainty. Scoring each row
    alone is our extension. High uncertainty means that the row is ambiguous to the model. Among rows with low
    uncertainty, `prompt_probability` separates easy rows (high) from difficult ones (low). The only word of an
    instruction is never dropped, so such a row has an uncertainty of 0.

    :param num_perturbations: perturbed instructions per row, at least 1. Each costs a forward pass; the paper uses 10.
    :param drop_rate: probability that a word is dropped, above 0 and below 1.
    :param seed: seed of the draw. A row loses the same words in any order and executor.
    :param hf_model: causal language model: a name on the Hugging Face Hub, or the path of a folder. The paper takes the
        model to be trained; the default is a small one. For a model that is not public, set the environment variable
        HF_TOKEN.
    :param model_params: further arguments of `from_pretrained`, such as `revision` or `device_map`; never a token.
    :param dtype: type of the model's weights: `float32`, `bfloat16` or `float16`.
    :param prompt: the text around instruction and response: `plain`, `alpaca` or `vicuna`; see `response_loss`.
    :param start_token: the token before each text: `bos`, `eos` or `released`; see `response_loss`.
    :param max_length: most tokens of a text, at least 2; the model's window if that is smaller. The end of a longer
        response is cut, the same for all instructions.
    :param device: `cpu`, `cuda` or `cuda:N`; None takes a GPU if there is one.
    :param cache_path: file or folder of the journal of losses, from which a run continues after it was killed; `auto`:
        `losses.sqlite3` in the cache folder; null: no journal.
    :raises RecipeError: if a parameter cannot work.
    """

    measures: ClassVar[Mapping[str, str]] = {
        "prompt_uncertainty": "prompt_uncertainty",
        "prompt_probability": "prompt_probability",
    }

    def __init__(
        self,
        *,
        num_perturbations: int = 10,
        drop_rate: float = 0.2,
        seed: int = 42,
        hf_model: str = "gpt2",
        model_params: Mapping[str, Any] | None = None,
        dtype: str = "float32",
        prompt: str = "plain",
        start_token: str = "bos",
        max_length: int = 1024,
        device: str | None = None,
        cache_path: str | None = CACHE_AUTO,
    ) -> None:
        check(_CONSTRAINTS, locals(), "prompt_uncertainty")
        self._settings = LossSettings(
            "prompt_uncertainty", hf_model, model_params, dtype, prompt, start_token, max_length, device, cache_path
        )
        self.num_perturbations = int(num_perturbations)
        self.drop_rate = float(drop_rate)
        self.seed = int(seed)
        self.cut_rows = CutRows("prompt_uncertainty")
        self.by_instruction = False
        """Whether rows with the same instruction lose the same words, like the rows of a task in the paper."""

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        own = {name: getattr(self, name) for name in ("num_perturbations", "drop_rate", "seed")}
        return {**self._settings.identity(), **own}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Return the uncertainty of rows; see `measure`."""
        return [scores[0] for scores in self.measure(samples)]

    def measure(self, samples: Sequence[Sample]) -> list[tuple[Score, ...]]:
        """Score rows; the scores of a row depend on the rows around it only by float noise.

        :param samples: n rows.
        :return: n pairs of uncertainty and probability. A row without scores has `empty_instruction`, `empty_response`,
            `instruction_too_long` or `not_finite`.
        :raises LLMUnavailableError: if the model cannot be loaded, or does not fit into memory.
        """
        if not samples:
            return []
        model = self._settings.load()
        rows = [self._spans(model, sample) for sample in samples]
        # Perturbations of a short instruction often drop the same words, or none.
        asked = list(dict.fromkeys(span for row in rows if not isinstance(row, str) for span in row))
        losses = dict(zip(asked, model.mean_losses(asked), strict=True))
        return [_scores(row, losses) for row in rows]

    def _spans(self, model: LossModel, sample: Sample) -> list[Span] | str:
        """Return the response after the instruction and after each perturbed instruction, or why there is none."""
        if not sample.instruction.strip():
            return "empty_instruction"
        if not sample.output.strip():
            return "empty_response"
        drawn = Sample(sample.instruction, "", "") if self.by_instruction else sample
        perturbed = with_words_dropped(drawn, self.num_perturbations, self.drop_rate, self.seed)
        template = self._settings.template
        texts = [
            template.before_response(replace(sample, instruction=text)) for text in (sample.instruction, *perturbed)
        ]
        *prompts, response = model.tokens([*texts, sample.output])
        start = model.start(self._settings.start_token)
        room = self._settings.most_tokens(model) - len(start) - max(map(len, prompts))
        if room < 1:
            return "instruction_too_long"
        self.cut_rows.note(len(response) > room)
        befores = [(*start, *prompt) for prompt in prompts]
        return [Span((*before, *response[:room]), len(before)) for before in befores]


def _scores(spans: Sequence[Span] | str, losses: Mapping[Span, float]) -> tuple[Score, ...]:
    if isinstance(spans, str):
        return (Score.missing(spans),) * 2
    found = [losses[span] for span in spans]
    if not all(map(math.isfinite, found)):
        return (Score.missing("not_finite"),) * 2
    probability, *perturbed = (math.exp(-loss) for loss in found)
    return Score(prompt_uncertainty(probability, perturbed)), Score(probability)
