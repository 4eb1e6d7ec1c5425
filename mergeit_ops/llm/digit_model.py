"""The logits of digits after a prompt, from a local causal language model: one forward pass, no generation."""

from __future__ import annotations

import inspect
from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.errors import ScorerError
from mergeit_ops.llm.huggingface import ModelNotLoadedError, context_length, in_halves, load_causal_lm

__all__ = ["DigitModel"]


class DigitModel:
    """A causal language model that returns the logits of some digits after a prompt.

    :param name: name on the Hub, or a folder.
    :param model_params: arguments of `from_pretrained`.
    :param device: where it runs.
    :param dtype: type of its weights; None: `model_params` decide.
    :param digits: the digits that are scores, in order.
    :param owner: name of the scorer, for messages.
    :param role: role of the model for the scorer, for messages.
    :raises ScorerError: if it cannot be loaded, or its tokenizer lacks these digits.
    """

    def __init__(
        self,
        name: str,
        model_params: Mapping[str, Any],
        device: str,
        dtype: str | None,
        *,
        digits: Sequence[int],
        owner: str,
        role: str,
    ) -> None:
        self._owner = owner
        try:
            self._tokenizer, self._model = load_causal_lm(name, model_params, device, dtype)
        except ModelNotLoadedError as error:
            raise ScorerError(
                f"The {role} {name!r} cannot be loaded ({error}): check its name in scorer_params; a model of the "
                "Hugging Face Hub needs a connection, the path of a local copy, or, if it is not public, a token in "
                "the environment variable HF_TOKEN."
            ) from error
        if not self._tokenizer.is_fast:
            raise ScorerError(
                f"The tokenizer of the {role} {name!r} is a slow one, which cannot tell where a response may be "
                "cut: put a tokenizer.json into the model's folder."
            )
        self._digit_ids = _digit_ids(name, role, digits, self._tokenizer.get_vocab())
        self.most_positions = context_length(self._model.config)
        """Most tokens that the model can read; None if it does not say."""
        accepted = inspect.signature(type(self._model).forward).parameters
        # Only the logits of one position, and no cache, to save memory for larger batches.
        options = {"logits_to_keep": 1, "use_cache": False}
        self._options = {option: value for option, value in options.items() if option in accepted}
        self._takes_positions = "position_ids" in accepted

    def tokens(self, texts: Sequence[str], special: bool = True) -> list[list[int]]:
        """Return the token ids of each text.

        :param special: whether to add the tokens that the tokenizer puts before a text (BOS).
        """
        found = self._tokenizer(list(texts), add_special_tokens=special, verbose=False)["input_ids"]
        return [list(ids) for ids in found]

    def token_ends(self, text: str) -> list[int]:
        """Return the end of each token of a text, in characters from the start."""
        offsets = self._tokenizer(text, add_special_tokens=False, return_offsets_mapping=True, verbose=False)
        return [end for _, end in offsets["offset_mapping"]]

    def digit_logits(self, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        """Return the logit of each digit as the next token, in one batch or in halves.

        :param prompts: n token id lists.
        :return: n lists of logits, one for each digit.
        :raises ScorerError: if one prompt alone does not fit into memory.
        """
        import torch

        try:
            return in_halves(prompts, self._forward)
        except torch.cuda.OutOfMemoryError as error:
            raise ScorerError(
                f"{self._owner}: the GPU's memory does not suffice for one row at a time: lower max_length, or spread "
                "the model with model_params: {device_map: auto}."
            ) from error

    def _forward(self, prompts: Sequence[Sequence[int]]) -> list[list[float]]:
        import torch

        width = max(map(len, prompts))
        ids = torch.zeros((len(prompts), width), dtype=torch.long)
        mask = torch.zeros_like(ids)
        # Padded on the left, so that the last position of every prompt is in the last column.
        for row, prompt in enumerate(prompts):
            ids[row, width - len(prompt) :] = torch.tensor(prompt)
            mask[row, width - len(prompt) :] = 1
        inputs = {"input_ids": ids, "attention_mask": mask}
        if self._takes_positions:
            inputs["position_ids"] = (mask.cumsum(dim=1) - 1).clamp(min=0)
        inputs = {name: tensor.to(self._model.device) for name, tensor in inputs.items()}
        with torch.inference_mode():
            logits = self._model(**inputs, **self._options).logits
            rows: list[list[float]] = logits[:, -1, self._digit_ids].float().tolist()
        return rows


def _digit_ids(name: str, role: str, digits: Sequence[int], vocabulary: Mapping[str, int]) -> list[int]:
    """Return the ids of the pieces that are digits.

    A prompt ends with a blank or a line break, so the answer is the bare digit, not the piece with a blank before it.
    Encoding a digit as a separate text may give that other piece.
    """
    missing = [str(score) for score in digits if str(score) not in vocabulary]
    ids = [vocabulary[str(score)] for score in digits if str(score) in vocabulary]
    if missing or len(set(ids)) < len(digits):
        what = f"no token {', '.join(map(repr, missing))}" if missing else "one token for several digits"
        raise ScorerError(
            f"The model {name!r} is no {role}: its tokenizer has {what}, and the score is read off the tokens of "
            f"the digits {digits[0]} to {digits[-1]}."
        )
    return ids
