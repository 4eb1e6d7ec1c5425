"""The reward that a sequence classifier gives to an answer (MoDS, arXiv 2311.15653, step 1)."""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence
from typing import Any, ClassVar

from mergeit_ops.constraints import MAPPING, OPTIONAL_TEXT, TEXT, Constraint, Number, OneOf, check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.embedding.batches import batches_of_like_lengths
from mergeit_ops.errors import ScorerError
from mergeit_ops.llm.huggingface import (
    ModelNotLoadedError,
    checked_model_params,
    context_length,
    default_device,
    in_halves,
    is_out_of_memory,
    load_model,
    loaded_once,
)
from mergeit_ops.llm.model_files import model_identity
from mergeit_ops.progress import progress_bar
from mergeit_ops.scorers.cut_rows import CutRows, CutsRows
from mergeit_ops.scorers.text import blank_reason, encodable

__all__ = ["RewardModelScorer"]

_CONSTRAINTS: Mapping[str, Constraint] = {
    "hf_model": TEXT,
    "prompt": OneOf(("pair", "chat")),
    "model_params": MAPPING,
    "dtype": OneOf(("float32", "bfloat16", "float16")),
    "max_length": Number(low=8, integer=True),
    "device": OPTIONAL_TEXT,
}
_CPU_TOKENS, _GPU_TOKENS = 4_096, 32_768  # in a batch


class RewardModelScorer(CutsRows):
    """Scores rows with a reward model: a sequence classifier with one output, trained on preferences. The model loads
    at the first `score`, once per process.

    Scores are logits, from about -6 to 6 for the default model. The scores of different models cannot be compared. MoDS
    keeps the rows above 0: `min_score: 0` with `min_closed_interval: false`.

    :param hf_model: name on the Hugging Face Hub, or path of a folder. The default is MoDS's, with 435M parameters. For
        a model that is not public, set the environment variable HF_TOKEN.
    :param prompt: `pair`: question and answer as a pair of sequences, for models like the default one; `chat`: a
        conversation in the model's chat template, for reward models built on chat models.
    :param model_params: further arguments of `from_pretrained`, such as `revision` or `device_map`; never a token.
    :param dtype: type of the model's weights: `float32`, `bfloat16` or `float16`.
    :param max_length: most tokens of question and answer together, at least 8; the model's window if that is smaller.
        The end of a longer answer is cut.
    :param device: `cpu`, `cuda` or `cuda:N`; None takes a GPU if there is one.
    :raises RecipeError: if a parameter cannot work.
    """

    measures: ClassVar[Mapping[str, str]] = {"reward": "reward_score"}
    no_ratio: ClassVar[str] = "its scores may be negative"

    def __init__(
        self,
        *,
        hf_model: str = "OpenAssistant/reward-model-deberta-v3-large-v2",
        prompt: str = "pair",
        model_params: Mapping[str, Any] | None = None,
        dtype: str = "float32",
        max_length: int = 1024,
        device: str | None = None,
    ) -> None:
        check(_CONSTRAINTS, locals(), "reward_model")
        self.hf_model = hf_model
        self.prompt = prompt
        self.model_params = checked_model_params("reward_model", model_params)
        self.dtype = dtype
        self.max_length = int(max_length)
        self.device = device
        self.cut_rows = CutRows("reward_model")

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        own = {name: getattr(self, name) for name in ("prompt", "dtype", "max_length")}
        return {**model_identity(self.hf_model, self.model_params), **own}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows; the score of a row depends on the rows around it only by float noise.

        :param samples: n rows.
        :return: n scores. A row without a score has `empty_response`, `empty_instruction`, `instruction_too_long` or
            `not_finite`.
        :raises ScorerError: if the model cannot be loaded, is not a reward model, or does not fit into memory.
        """
        texts = [(_question(sample), encodable(sample.output)) for sample in samples]
        scores = [Score.missing(blank_reason(*pair) or "instruction_too_long") for pair in texts]
        rows = [row for row, pair in enumerate(texts) if blank_reason(*pair) is None]
        if not rows:
            return scores
        device = self.device or default_device()
        key = repr(("reward", self.hf_model, sorted(self.model_params.items(), key=repr), device, self.dtype))
        model = loaded_once(key, lambda: _RewardModel(self.hf_model, self.model_params, device, self.dtype))
        inputs = {}
        for row in rows:
            ids, cut = model.tokens(*texts[row], self.prompt, self.max_length)
            if ids is not None:
                inputs[row] = ids
                self.cut_rows.note(cut)
        for row, reward in zip(inputs, model.rewards(list(inputs.values())), strict=True):
            scores[row] = Score(reward) if math.isfinite(reward) else Score.missing("not_finite")
        return scores


class _RewardModel:
    def __init__(self, name: str, model_params: Mapping[str, Any], device: str, dtype: str) -> None:
        try:
            loaded = load_model("AutoModelForSequenceClassification", name, model_params, device, dtype)
        except ModelNotLoadedError as error:
            raise ScorerError(
                f"The reward model {name!r} cannot be loaded ({error}): check hf_model in scorer_params; a model of "
                "the Hugging Face Hub needs a connection, the path of a local copy, or, if it is not public, a token "
                "in the environment variable HF_TOKEN."
            ) from error
        self._name = name
        self._tokenizer, self._model = loaded
        if self._model.config.num_labels != 1:
            raise ScorerError(
                f"The model {name!r} is not a reward model: it has {self._model.config.num_labels} outputs, "
                "and a reward model has one."
            )
        if self._model.config.pad_token_id is None:
            self._model.config.pad_token_id = self._tokenizer.pad_token_id
        self._most_tokens = _GPU_TOKENS if self._model.device.type == "cuda" else _CPU_TOKENS

    def tokens(
        self, question: str, answer: str, prompt: str, max_length: int
    ) -> tuple[dict[str, list[int]] | None, bool]:
        """Return the model's input for a row, None if the question leaves no room; and whether the end of its answer
        is cut."""
        # RoBERTa's tokenizer allows two tokens fewer than there are positions.
        most = min(max_length, context_length(self._model.config) or max_length, self._tokenizer.model_max_length)
        if prompt == "pair":
            room = most - len(self._tokenizer(question, "", verbose=False)["input_ids"])
            if room < 1:
                return None, True
            whole = dict(self._tokenizer(question, answer, verbose=False))
            if len(whole["input_ids"]) <= most:
                return whole, False
            cut = self._tokenizer(question, answer, truncation="only_second", max_length=most, verbose=False)
            return dict(cut), True
        if self._tokenizer.chat_template is None:
            raise ScorerError(f"The reward model {self._name!r} has no chat template: set prompt to pair.")
        ids = self._chat(question, answer)
        cut = len(ids) > most
        if cut:
            answer_ids = self._tokenizer(answer, add_special_tokens=False, verbose=False)["input_ids"]
            room = most - (len(ids) - len(answer_ids))
            if room < 1:
                return None, True
            ids = self._chat(question, self._tokenizer.decode(answer_ids[:room]))[:most]
        return {"input_ids": ids, "attention_mask": [1] * len(ids)}, cut

    def _chat(self, question: str, answer: str) -> list[int]:
        turns = [{"role": "user", "content": question}, {"role": "assistant", "content": answer}]
        text = self._tokenizer.apply_chat_template(turns, tokenize=False)
        return list(self._tokenizer(text, add_special_tokens=False, verbose=False)["input_ids"])

    def rewards(self, inputs: Sequence[Mapping[str, list[int]]]) -> list[float]:
        """Return the reward of each input. Batches hold inputs of similar length, the longest first.

        :raises ScorerError: if one input alone does not fit into memory.
        """
        rewards = [0.0] * len(inputs)
        lengths = [len(one["input_ids"]) for one in inputs]
        with progress_bar(len(inputs), "rewards", "rows") as bar:
            for batch in batches_of_like_lengths(lengths, most_tokens=self._most_tokens):
                try:
                    found = in_halves([inputs[row] for row in batch], self._forward)
                except Exception as error:
                    if not is_out_of_memory(error):
                        raise
                    raise ScorerError(
                        "reward_model: one row alone does not fit into memory: lower max_length, or spread the "
                        "model with model_params: {device_map: auto}."
                    ) from error
                for row, reward in zip(batch.tolist(), found, strict=True):
                    rewards[row] = reward
                bar.update(len(batch))
        return rewards

    def _forward(self, inputs: Sequence[Mapping[str, list[int]]]) -> list[float]:
        import torch

        if self._tokenizer.pad_token_id is None and len(inputs) > 1:
            # The model finds the end of a text by its padding.
            return [reward for one in inputs for reward in self._forward([one])]
        padded = self._tokenizer.pad(list(inputs), return_tensors="pt") if len(inputs) > 1 else _single(inputs[0])
        with torch.inference_mode():
            logits = self._model(**{name: tensor.to(self._model.device) for name, tensor in padded.items()}).logits
        rewards: list[float] = logits[:, 0].float().tolist()
        return rewards


def _question(sample: Sample) -> str:
    return encodable(f"{sample.instruction}\n{sample.input}" if sample.input.strip() else sample.instruction)


def _single(one: Mapping[str, list[int]]) -> dict[str, Any]:
    import torch

    return {name: torch.tensor([values]) for name, values in one.items()}
