"""How a local model draws its answers: the parameters of a request, in OpenAI's names, read for transformers."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import Any

from mergeit_ops.errors import RecipeError

__all__ = ["LocalSampling", "read_sampling"]

_LIMITS = ("max_tokens", "max_completion_tokens", "max_new_tokens")


@dataclass(frozen=True)
class LocalSampling:
    """Sampling parameters of a local model; None leaves a parameter to the model's own generation config.

    :param temperature: at least 0; 0 always takes the likeliest token.
    :param top_p: in (0, 1]: the likeliest tokens that together have this share.
    :param top_k: at least 1: so many of the likeliest tokens.
    :param min_p: in [0, 1]: tokens with at least this share of what the likeliest has.
    :param repetition_penalty: above 0; above 1 makes tokens that have occurred less likely.
    :param no_repeat_ngram_size: at least 1: runs of so many tokens do not occur twice.
    :param min_tokens: tokens an answer has at least.
    :param max_tokens: tokens an answer has at most; None: as many as its prompt.
    :param seed: of the random numbers; None draws anew every time.
    :param stop: texts that end an answer and are no part of it.
    :param template: what the chat template is given beside the conversation.
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
        """Return all that the rows of a batch must have in common."""
        return {name: value for name, value in vars(self).items() if name not in ("max_tokens", "seed", "template")}


# Lowest value, whether it is itself allowed, highest value, whether whole.
_NUMBERS: Mapping[str, tuple[float, bool, float, bool]] = {
    "temperature": (0, True, math.inf, False),
    "top_p": (0, False, 1, False),
    "top_k": (1, True, math.inf, True),
    "min_p": (0, True, 1, False),
    "repetition_penalty": (0, False, math.inf, False),
    "no_repeat_ngram_size": (1, True, math.inf, True),
    "min_tokens": (0, True, math.inf, True),
    "max_tokens": (1, True, math.inf, True),
    "seed": (-math.inf, True, math.inf, True),
}
_NAMES = {**{name: name for name in _NUMBERS}, **dict.fromkeys(_LIMITS, "max_tokens"), "min_new_tokens": "min_tokens"}


def read_sampling(params: Mapping[str, Any]) -> LocalSampling:
    """Read the sampling parameters of a recipe or a request.

    :param params: OpenAI's names, those that vLLM adds, or those of transformers' `generate`; `extra_body` is merged
        into them, as for a server. A value of None counts as left out.
    :raises RecipeError: for a parameter that a local model has no use for, or a value that cannot work.
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
    low, closed, high, whole = _NUMBERS[_NAMES[name]]
    fits = isinstance(value, int if whole else (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    if fits and low <= value <= high and (closed or value > low):
        return value
    kind = "a whole number" if whole else "a number"
    left = "" if math.isinf(low) else f" {'of at least' if closed else 'above'} {low:g}"
    right = "" if math.isinf(high) else f" and at most {high:g}"
    raise RecipeError(f"{name} in sampling_params must be {kind}{left}{right}, got {value!r}.")


def _texts(value: Any) -> tuple[str, ...]:
    texts = [value] if isinstance(value, str) else value
    if not isinstance(texts, (list, tuple)) or not all(isinstance(text, str) and text for text in texts):
        raise RecipeError(
            f"stop in sampling_params must be a text or a list of texts, none of them empty, got {value!r}."
        )
    return tuple(texts)
