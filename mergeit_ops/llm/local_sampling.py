"""Sampling of a local model: read a request's parameters, with OpenAI's names, for transformers."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mergeit_ops.constraints import Number, check
from mergeit_ops.errors import RecipeError

__all__ = ["LocalSampling", "read_sampling"]

_LIMITS = ("max_tokens", "max_completion_tokens", "max_new_tokens")


@dataclass(frozen=True)
class LocalSampling:
    """Sampling parameters of a local model. A parameter that is None follows the model's generation config.

    :param temperature: at least 0; 0 always takes the likeliest token.
    :param top_p: in (0, 1]: the likeliest tokens that together have this share.
    :param top_k: at least 1: this many of the likeliest tokens.
    :param min_p: in [0, 1]: tokens with at least this share of the likeliest token's probability.
    :param repetition_penalty: above 0; above 1 makes tokens that have occurred less likely.
    :param no_repeat_ngram_size: at least 1: no sequence of this many tokens occurs twice.
    :param min_tokens: fewest tokens of an answer.
    :param max_tokens: most tokens of an answer; None: as many as its prompt has.
    :param seed: seed of the random numbers; with None, each draw is different.
    :param stop: texts that end an answer and are not part of it.
    :param template: variables of the chat template besides the conversation.
    """

    temperature: float | None = None
    top_p: float | None = None
    top_k: int | None = None
    min_p: float | None = None
    repetition_penalty: float | None = None
    no_repeat_ngram_size: int | None = None
    min_tokens: int | None = None
    max_tokens: int | None = None
    seed: int | None = None
    stop: tuple[str, ...] = ()
    template: Mapping[str, Any] = field(default_factory=dict)

    def shared(self) -> dict[str, Any]:
        """Return the settings that all rows of a batch must share."""
        return {name: value for name, value in vars(self).items() if name not in ("max_tokens", "seed", "template")}


_NUMBERS: Mapping[str, Number] = {
    "temperature": Number(low=0),
    "top_p": Number(low=0, high=1, low_open=True),
    "top_k": Number(low=1, integer=True),
    "min_p": Number(low=0, high=1),
    "repetition_penalty": Number(low=0, low_open=True),
    "no_repeat_ngram_size": Number(low=1, integer=True),
    "min_tokens": Number(low=0, integer=True),
    "max_tokens": Number(low=1, integer=True),
    "seed": Number(integer=True),
}
_NAMES = {**{name: name for name in _NUMBERS}, **dict.fromkeys(_LIMITS, "max_tokens"), "min_new_tokens": "min_tokens"}


def read_sampling(params: Mapping[str, Any]) -> LocalSampling:
    """Read the sampling parameters of a recipe or a request.

    :param params: OpenAI's names, those that vLLM adds, or those of transformers' `generate`; `extra_body` is merged
        into them, as for a server. A value of None counts as left out.
    :raises RecipeError: for a parameter that a local model does not know, or a value that cannot work.
    """
    flat = {name: value for name, value in params.items() if name != "extra_body"} | dict(
        params.get("extra_body") or {}
    )
    found: dict[str, Any] = {}
    for name, value in flat.items():
        if value is None:
            continue
        if name == "stop":
            found[name] = _texts(value)
        elif name == "chat_template_kwargs":
            if not isinstance(value, Mapping):
                raise RecipeError(f"chat_template_kwargs in sampling_params must be a mapping, got {value!r}.")
            found["template"] = dict(value)
        elif name in _NAMES:
            found[_NAMES[name]] = _number(name, value)
        else:
            known = ", ".join(sorted({*_NAMES, "stop", "chat_template_kwargs"}))
            raise RecipeError(
                f"sampling_params holds {name!r}, which a local model (is_hf_model) does not know: take it out; "
                f"known are {known}."
            )
    return LocalSampling(**found)


def _number(name: str, value: Any) -> Any:
    allowed = _NUMBERS[_NAMES[name]]
    check({f"{name} in sampling_params": allowed}, {f"{name} in sampling_params": value})
    return int(value) if allowed.integer else value


def _texts(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) and text for text in texts):
        raise RecipeError(
            f"stop in sampling_params must be a text or a list of texts, none of them empty, got {value!r}."
        )
    return tuple(texts)
