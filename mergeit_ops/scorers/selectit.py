"""SelectIT: how a local Hugging Face model rates rows, and how sure it is."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mergeit_ops.constraints import MAPPING, NAMES, OPTIONAL_TEXT, TEXT, Constraint, Number, OneOf, check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.scoring.selectit import RATING_PROMPTS, RATINGS, prompt_parts, sentence_score, token_score
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.digit_model import DigitModel
from mergeit_ops.llm.huggingface import checked_model_params, default_device, loaded_once
from mergeit_ops.llm.model_files import model_identity
from mergeit_ops.progress import progress_bar
from mergeit_ops.scorers.cut_rows import CutRows, CutsRows
from mergeit_ops.scorers.loss_settings import DTYPES
from mergeit_ops.scorers.text import blank_reason, encodable

__all__ = ["RATING_CONSTRAINTS", "SelectitScorer", "checked_prompts"]

RATING_CONSTRAINTS: Mapping[str, Constraint] = {
    "num_prompts": Number(low=1, integer=True, optional=True),
    "alpha": Number(low=0),
    "rating_prompts": NAMES,
}
_CONSTRAINTS: Mapping[str, Constraint] = {
    **RATING_CONSTRAINTS,
    "hf_model": TEXT,
    "model_params": MAPPING,
    "dtype": OneOf(DTYPES, optional=True),
    "max_length": Number(low=2, integer=True),
    "batch_size": Number(low=1, integer=True),
    "device": OPTIONAL_TEXT,
}


class SelectitScorer(CutsRows):
    """Asks a model several times how accurately the response follows the instruction, from 1 to 5, and reads off the
    probabilities of the five digits. The score is high if the model is sure of a high rating with every prompt. It is
    mean / (1 + alpha * std) over the prompts; the value of a prompt is r * mean(P'_r - P'_k) for its likeliest rating r
    (SelectIT, arXiv 2402.16705). It lies between 0 and 1.2788. The paper keeps the highest 20 %.

    The digits of a model that cannot rate are noise: use an instruction-tuned model with at least 7B parameters. The
    paper adds the scores of three models of different sizes, weighted by their parameters; this scorer uses one model.

    :param hf_model: causal language model: a name on the Hugging Face Hub or the path of a folder. For a model that is
        not public, set the environment variable HF_TOKEN.
    :param num_prompts: number of rating prompts, at least 1. Each costs a forward pass per row. The first ones are
        used; None: all.
    :param alpha: weight of the disagreement between the prompts, at least 0.
    :param rating_prompts: your own prompts that ask for a rating from 1 to 5; None: the five built-in ones.
    :param model_params: further arguments of `from_pretrained`, such as `revision` or `device_map`; never a token.
    :param dtype: type of the model's weights: `float32`, `bfloat16` or `float16`; None for bfloat16 on a GPU and
        float32 elsewhere.
    :param max_length: most tokens of a prompt, at least 2; the model's window if that is smaller. The end of a longer
        response is cut, the same for all prompts.
    :param batch_size: prompts per forward pass, at least 1. A batch that exceeds the GPU's memory is run in halves.
    :param device: `cpu`, `cuda` or `cuda:N`; None takes a GPU if there is one.
    :raises RecipeError: if a parameter cannot work.
    """

    measures: ClassVar[Mapping[str, str]] = {"selectit": "selectit_score"}

    def __init__(
        self,
        *,
        hf_model: str,
        num_prompts: int | None = None,
        alpha: float = 0.2,
        rating_prompts: Sequence[str] | None = None,
        model_params: Mapping[str, Any] | None = None,
        dtype: str | None = None,
        max_length: int = 2048,
        batch_size: int = 8,
        device: str | None = None,
    ) -> None:
        check(_CONSTRAINTS, locals(), "selectit")
        self.prompts = checked_prompts("selectit", num_prompts, rating_prompts)
        self.hf_model = hf_model
        self.alpha = float(alpha)
        self.model_params = checked_model_params("selectit", model_params)
        self.dtype = dtype
        self.max_length = int(max_length)
        self.batch_size = int(batch_size)
        self.device = device
        self.cut_rows = CutRows("selectit")

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        own = {"prompts": list(self.prompts), "alpha": self.alpha, "max_length": self.max_length}
        return {**model_identity(self.hf_model, self.model_params), **own, "dtype": self._device_and_dtype()[1]}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows; the score of a row depends on the rows around it only by float noise.

        :param samples: n rows.
        :return: n scores. Rows without one have `empty_response`, `empty_instruction`, `instruction_too_long` or
            `not_finite`.
        :raises ScorerError: if the model cannot be loaded, has no digits, or does not fit into memory.
        """
        if not samples:
            return []
        device, dtype = self._device_and_dtype()
        key = repr(("ratings", self.hf_model, sorted(self.model_params.items(), key=repr), device, dtype))
        names = (self.hf_model, self.model_params, device, dtype)
        model = loaded_once(key, lambda: DigitModel(*names, digits=RATINGS, owner="selectit", role="rating model"))
        rows = [self._prompts(model, sample) for sample in samples]
        asked = [prompt for row in rows if not isinstance(row, str) for prompt in row]
        found = iter(self._weights(model, asked))
        return [Score.missing(row) if isinstance(row, str) else self._score([next(found) for _ in row]) for row in rows]

    def _score(self, weights: Sequence[Sequence[float]]) -> Score:
        try:
            return Score(sentence_score([token_score(each) for each in weights], self.alpha))
        except ValueError:
            return Score.missing("not_finite")

    def _weights(self, model: DigitModel, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        # The longest first, so that a lack of memory shows at once.
        order = sorted(range(len(prompts)), key=lambda number: -len(prompts[number]))
        found: list[list[float]] = [[] for _ in prompts]
        with progress_bar(len(order), "selectit", "prompts") as bar:
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                logits = model.digit_logits([prompts[number] for number in batch])
                for number, weights in zip(batch, logits, strict=True):
                    found[number] = weights
                bar.update(len(batch))
        return found

    def _prompts(self, model: DigitModel, sample: Sample) -> list[list[int]] | str:
        """Return the token ids of each prompt about a row, or why there are none."""
        question, response = encodable(sample.query), encodable(sample.output)
        reason = blank_reason(question, response)
        if reason is not None:
            return reason
        parts = [prompt_parts(encodable(prompt), question) for prompt in self.prompts]
        befores = model.tokens([before for before, _ in parts])
        *behinds, answer = model.tokens([*(behind for _, behind in parts), response], special=False)
        fixed = max(len(before) + len(behind) for before, behind in zip(befores, behinds, strict=True))
        room = min(self.max_length, model.most_positions or self.max_length) - fixed
        if room < 1:
            return "instruction_too_long"
        self.cut_rows.note(len(answer) > room)
        return [[*before, *answer[:room], *behind] for before, behind in zip(befores, behinds, strict=True)]

    def _device_and_dtype(self) -> tuple[str, str]:
        device = self.device or default_device()
        return device, self.dtype or ("bfloat16" if device.startswith("cuda") else "float32")


def checked_prompts(owner: str, num_prompts: int | None, rating_prompts: Sequence[str] | None) -> tuple[str, ...]:
    """Return the rating prompts that a recipe asks for.

    :param owner: name of the scorer, for the message.
    :param num_prompts: number of prompts; None: all.
    :param rating_prompts: the user's own prompts; None: the built-in ones.
    :raises RecipeError: if there are fewer prompts than that, or none.
    """
    known = RATING_PROMPTS if rating_prompts is None else tuple(rating_prompts)
    if not known:
        raise RecipeError(f"{owner}: rating_prompts must hold at least one prompt, or be null for the built-in ones.")
    if num_prompts is not None and num_prompts > len(known):
        whose = "that are built in; give your own as rating_prompts" if rating_prompts is None else "in rating_prompts"
        raise RecipeError(f"{owner}: num_prompts must not exceed the {len(known)} prompts {whose}, got {num_prompts}.")
    return known if num_prompts is None else known[: int(num_prompts)]
