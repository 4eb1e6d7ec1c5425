"""The parameters of scorers that measure how likely a causal language model finds responses."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

from mergeit_ops.constraints import MAPPING, OPTIONAL_TEXT, TEXT, Constraint, Number, OneOf, check
from mergeit_ops.core.scoring.loss_prompts import LOSS_PROMPTS, LossPrompt
from mergeit_ops.llm.huggingface import checked_model_params, default_device
from mergeit_ops.llm.loss_journal import LossJournal
from mergeit_ops.llm.losses import START_TOKENS, LossModel, load_loss_model
from mergeit_ops.llm.model_files import answering_params, model_identity
from mergeit_ops.llm.settings import CACHE_AUTO

__all__ = ["DTYPES", "LossSettings"]

DTYPES = ("float32", "bfloat16", "float16")

_CONSTRAINTS: Mapping[str, Constraint] = {
    "hf_model": TEXT,
    "model_params": MAPPING,
    "dtype": OneOf(DTYPES),
    "prompt": OneOf(LOSS_PROMPTS),
    "start_token": OneOf(START_TOKENS),
    "max_length": Number(low=2, integer=True),
    "device": OPTIONAL_TEXT,
    "cache_path": OPTIONAL_TEXT,
}


@dataclass(frozen=True)
class LossSettings:
    """A causal language model, and how it reads a row.

    :param owner: name of the scorer, for messages.
    :param hf_model: a name on the Hugging Face Hub or the path of a folder.
    :param model_params: further arguments of `from_pretrained`.
    :param dtype: type of the model's weights.
    :param prompt: name of the text around instruction and response.
    :param start_token: name of the token before each text.
    :param max_length: most tokens of a text.
    :param device: where the model runs; None takes a GPU if there is one.
    :param cache_path: file or folder of the journal of losses; `auto`: below the user's cache folder; None: no journal.
    :raises RecipeError: if a parameter cannot work.
    """

    owner: str
    hf_model: str = "gpt2"
    model_params: Mapping[str, Any] | None = None
    dtype: str = "float32"
    prompt: str = "plain"
    start_token: str = "bos"
    max_length: int = 1024
    device: str | None = None
    cache_path: str | None = CACHE_AUTO

    def __post_init__(self) -> None:
        check(_CONSTRAINTS, vars(self), self.owner)
        object.__setattr__(self, "model_params", checked_model_params(self.owner, self.model_params))
        object.__setattr__(self, "max_length", int(self.max_length))

    @property
    def template(self) -> LossPrompt:
        """Return the texts of the prompt."""
        return LOSS_PROMPTS[self.prompt]

    def identity(self) -> dict[str, Any]:
        """Return everything except the row that affects a loss, as plain data."""
        own = {name: getattr(self, name) for name in ("dtype", "start_token", "max_length", "prompt")}
        model = model_identity(self.hf_model, self.model_params or {})
        return {**model, **own, "template": asdict(self.template)}

    def load(self) -> LossModel:
        """Return the model, which loads once per process.

        :raises LLMUnavailableError: if it cannot be loaded.
        """
        params = self.model_params or {}
        journal = None
        if self.cache_path:
            identity = {**model_identity(self.hf_model, answering_params(params)), "dtype": self.dtype}
            journal = LossJournal(self.hf_model, identity, self.cache_path)
        return load_loss_model(self.hf_model, params, self.device or default_device(), self.dtype, journal)

    def most_tokens(self, model: LossModel) -> int:
        """Return the most tokens that a text may have."""
        return min(self.max_length, model.most_positions or self.max_length)
