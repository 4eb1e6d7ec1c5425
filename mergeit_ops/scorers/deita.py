"""The published Deita scorers as local Hugging Face models: one forward pass per batch, no generation.

Formula and prompts: `mergeit_ops.core.scoring.deita`.
"""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.constraints import FLAG, MAPPING, OPTIONAL_TEXT, Constraint, Number, OneOf, check, refuse_secrets
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.deita import PUBLISHED_MODELS, SCORES, complexity_prompt, expected_score, quality_prompt
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.digit_model import DigitModel
from mergeit_ops.llm.huggingface import (
    DTYPE_PARAMS,
    default_device,
    loaded_once,
)
from mergeit_ops.llm.model_files import model_identity
from mergeit_ops.progress import progress_bar
from mergeit_ops.scorers.cut_rows import CutRows, CutsRows
from mergeit_ops.scorers.text import blank_reason, encodable

__all__ = ["DTYPES", "DeitaScorer"]

DTYPES = ("float32", "bfloat16", "float16")
DEFAULT_BATCH_SIZE = 8
MAX_LENGTH = 2048
"""Tokens of the longest prompt in the training of the published scorers."""

_CONSTRAINTS: Mapping[str, Constraint] = {
    "model": OPTIONAL_TEXT,
    "kind": OneOf(PUBLISHED_MODELS),
    "with_input": FLAG,
    "batch_size": Number(low=1, integer=True),
    "max_length": Number(low=1, integer=True),
    "device": OPTIONAL_TEXT,
    "dtype": OneOf(DTYPES, optional=True),
    "model_params": MAPPING,
}
_SEAM_TOKENS = 2  # a text alone may have this many more tokens than within a prompt


class DeitaScorer(CutsRows):
    """Scores rows with a Deita scorer (1 poor to 6 excellent), a language model of billions of parameters.

    The model is asked for a score and would answer with one digit. The score is the mean of the six digits, weighted by
    the model's logits for them after the prompt's last token, without further processing. The released code generates
    two tokens per row, one row at a time, to get the same six numbers. The model loads at the first `score`, once per
    process.

    :param model: name on the Hugging Face Hub, or path of a folder; None for the published model of that `kind`. For a
        model that is not public, set the environment variable HF_TOKEN.
    :param kind: `quality` scores the response to a question; `complexity` scores the question alone.
    :param with_input: whether the question is the instruction and the input; false: the instruction alone, as in the
        released code.
    :param batch_size: rows per forward pass, >= 1. Rows of similar length share a batch. A batch that exceeds the GPU's
        memory is split in halves.
    :param max_length: most tokens of a prompt, >= 1; the model's window if that is smaller. The end of a longer
        response is cut, so that the prompt keeps its last line. The published scorers were trained on 2048.
    :param device: `cpu`, `cuda` or `cuda:N`; None takes a GPU if there is one.
    :param dtype: `float32`, `bfloat16` or `float16`; None for bfloat16 on a GPU, which halves the memory, and float32
        elsewhere.
    :param model_params: further arguments of `from_pretrained`, such as `revision` or `device_map`; never a token.
    :raises RecipeError: if a parameter cannot work.
    """

    def __init__(
        self,
        *,
        model: str | None = None,
        kind: str = "quality",
        with_input: bool = True,
        batch_size: int = DEFAULT_BATCH_SIZE,
        max_length: int = MAX_LENGTH,
        device: str | None = None,
        dtype: str | None = None,
        model_params: Mapping[str, Any] | None = None,
    ) -> None:
        check(_CONSTRAINTS, locals(), "deita")
        params = dict(model_params or {})
        refuse_secrets({"model_params": params}, "deita", "HF_TOKEN")
        if dtype is not None and set(DTYPE_PARAMS) & set(params):
            raise RecipeError("deita: dtype and the dtype in model_params mean the same; give one of them.")
        self.model = model or PUBLISHED_MODELS[kind]
        self.kind = kind
        self.with_input = with_input
        self.batch_size = int(batch_size)
        self.max_length = int(max_length)
        self.device = device
        self.dtype = dtype
        self.model_params = params
        self.measures: Mapping[str, str] = {kind: f"deita_{kind}_score"}
        self.scale = (min(SCORES), max(SCORES))
        self.cut_rows = CutRows("deita")

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        own = {name: getattr(self, name) for name in ("kind", "with_input", "max_length")}
        return {**model_identity(self.model, self.model_params), **own, "dtype": self._device_and_dtype()[1]}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows; the score of a row depends on the rows around it only by float noise.

        :param samples: n rows.
        :return: n scores from 1 to 6. Rows without a score have `empty_response` if the response has no letter and no
            digit, `empty_instruction` if the question is blank, `instruction_too_long` if the question leaves no room
            for a response, or `not_finite` if the logits are not finite.
        :raises ScorerError: if the model cannot be loaded, is not a Deita scorer, or does not fit into memory.
        """
        texts = [self._texts(sample) for sample in samples]
        reasons = [blank_reason(question, response) for question, response in texts]
        scores = [Score.missing(reason or "not_scored") for reason in reasons]
        rows = [row for row, reason in enumerate(reasons) if reason is None]
        if not rows:
            return scores
        model = self._loaded_model()
        prompts = self._prompts(model, {row: texts[row] for row in rows})
        # The longest first, so that a lack of memory shows at once and the progress bar only gets faster.
        order = sorted(prompts, key=lambda row: -len(prompts[row]))
        for row in set(rows) - set(order):
            scores[row] = Score.missing("instruction_too_long")
        with progress_bar(len(order), "deita", "rows") as bar:
            for start in range(0, len(order), self.batch_size):
                batch = order[start : start + self.batch_size]
                for row, weights in zip(batch, model.digit_logits([prompts[row] for row in batch]), strict=True):
                    scores[row] = _score(weights)
                bar.update(len(batch))
        return scores

    def _texts(self, sample: Sample) -> tuple[str, str | None]:
        question = encodable(sample.query if self.with_input else sample.instruction)
        return question, encodable(sample.output) if self.kind == "quality" else None

    def _device_and_dtype(self) -> tuple[str, str | None]:
        device, dtype = self.device or default_device(), self.dtype
        if dtype is None and not set(DTYPE_PARAMS) & set(self.model_params):
            dtype = "bfloat16" if device.startswith("cuda") else "float32"
        return device, dtype

    def _loaded_model(self) -> DigitModel:
        device, dtype = self._device_and_dtype()
        key = repr(("deita", self.model, sorted(self.model_params.items(), key=repr), device, dtype))
        names = (self.model, self.model_params, device, dtype)
        return loaded_once(key, lambda: DigitModel(*names, digits=SCORES, owner="deita", role="Deita scorer"))

    def _prompts(self, model: DigitModel, texts: Mapping[int, tuple[str, str | None]]) -> dict[int, list[int]]:
        """Return the token ids of each row's prompt; a row has none if its question leaves no room for a response."""
        tokens = model.tokens([_prompt(*pair) for pair in texts.values()])
        prompts = dict(zip(texts, tokens, strict=True))
        most = min(self.max_length, model.most_positions or self.max_length)
        for row, ids in list(prompts.items()):
            shorter = self._shortened(model, *texts[row], most) if len(ids) > most else ids
            if shorter is None:
                del prompts[row]
                continue
            prompts[row] = shorter
            self.cut_rows.note(len(ids) > most)
        return prompts

    def _shortened(self, model: DigitModel, question: str, response: str | None, most: int) -> list[int] | None:
        """Return the longest prompt that fits, with the end of the response cut; None if none of it is left."""
        if response is None:
            return None
        room = most - len(model.tokens([_prompt(question, "")])[0])
        if room <= 0:
            return None
        ends = model.token_ends(response)
        for count in range(min(room + _SEAM_TOKENS, len(ends)), 0, -1):
            # At its ends, a response has other tokens within a prompt than alone, so the whole prompt is counted.
            (ids,) = model.tokens([_prompt(question, response[: ends[count - 1]])])
            if len(ids) <= most:
                return ids
        return None


def _prompt(question: str, response: str | None) -> str:
    return complexity_prompt(question) if response is None else quality_prompt(question, response)


def _score(weights: Sequence[float]) -> Score:
    try:
        return Score(expected_score(weights))
    except ValueError:
        return Score.missing("not_finite")
