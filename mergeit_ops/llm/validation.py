"""The model parameters of a recipe, checked before anything is opened, and made into a backend factory."""

from __future__ import annotations

import json
import math
import re
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from mergeit_ops.core.scoring.deita import SCORES
from mergeit_ops.core.secrets import secret_in
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.backend import BackendFactory
from mergeit_ops.llm.client import DEFAULT_ENDPOINT, DEFAULT_RESPONSE_PATH, OpenAICompatibleFactory
from mergeit_ops.llm.client_params import CLIENT_PARAMS, check_client_params
from mergeit_ops.llm.local import LocalModelFactory
from mergeit_ops.llm.local_sampling import read_sampling
from mergeit_ops.llm.logprobs import DEFAULT_COMPLETIONS_ENDPOINT, LogprobsFactory

__all__ = [
    "DEFAULT_SAMPLING_PARAMS",
    "backend_factory",
    "logprobs_factory",
    "mapping",
    "number",
    "refuse_secrets",
]

DEFAULT_SAMPLING_PARAMS: Mapping[str, Any] = {"temperature": 0.25}

_OWN_FIELDS = {
    "model": "use api_or_hf_model instead",
    "messages": "the operator writes them",
    "stream": "answers are not streamed",
    "stream_options": "answers are not streamed",
    "n": "use the operator's own parameter instead (num_candidates of the merger, n of llm_judge)",
    "timeout": "use timeout_s instead",
    "extra_headers": "use default_headers in model_params instead",
}
_HUB_TOKENS = ("token", "hf_token", "use_auth_token")
_OWN_BODY_FIELDS = ("model", "messages", "n", "stream", "stream_options")
_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")


def backend_factory(
    *,
    model: str,
    is_hf_model: bool,
    api_endpoint: str | None,
    response_path: str | None,
    model_params: Mapping[str, Any] | None,
    sampling_params: Mapping[str, Any] | None,
    timeout_s: float,
    accelerator: str | None,
) -> BackendFactory:
    """Check the parameters that say what answers, and make the factory they describe.

    :param model: name of the model.
    :param is_hf_model: whether transformers runs it here.
    :param api_endpoint: path below the base URL; None for chat completions.
    :param response_path: dotted path of the text in a response; None for that of chat completions.
    :param model_params: of the client, or of `from_pretrained`.
    :param sampling_params: of the request; None for a temperature of 0.25.
    :param timeout_s: seconds for one call.
    :param accelerator: `cpu`, `cuda` or None, for a local model.
    :raises RecipeError: one sentence with parameter, what is allowed, and what was given.
    """
    _check_model(model)
    params = mapping("model_params", model_params, {})
    sampling = mapping("sampling_params", sampling_params, DEFAULT_SAMPLING_PARAMS)
    refuse_secrets(model_params=params, sampling_params=sampling, api_endpoint=api_endpoint)
    _refuse_own_fields(sampling)
    if is_hf_model:
        _refuse_server_params({"api_endpoint": api_endpoint, "response_path": response_path, **params})
        read_sampling(sampling)
        device = accelerator if accelerator in ("cpu", "cuda") else None
        return LocalModelFactory(model, params, sampling, device)
    endpoint, path = api_endpoint or DEFAULT_ENDPOINT, response_path or DEFAULT_RESPONSE_PATH
    check_client_params(params, endpoint)
    try:
        json.dumps(sampling, allow_nan=False)
    except (TypeError, ValueError, RecursionError) as error:
        raise RecipeError(f"sampling_params must be plain JSON values: {error}.") from None
    if not _PATH.fullmatch(path):
        raise RecipeError(f"response_path must be keys and positions joined by dots, got {path!r}.")
    return OpenAICompatibleFactory(model, endpoint, path, params, sampling, timeout_s)


def logprobs_factory(
    *,
    model: str,
    api_endpoint: str | None,
    model_params: Mapping[str, Any] | None,
    top_logprobs: int,
    timeout_s: float,
) -> BackendFactory:
    """Check the parameters that say whose log-probabilities are read, and make the factory they describe.

    :param model: name of the model.
    :param api_endpoint: path below the base URL; None for text completions.
    :param model_params: of the client.
    :param top_logprobs: tokens whose log-probability is asked for, at least 6.
    :param timeout_s: seconds for one call.
    :raises RecipeError: one sentence with parameter, what is allowed, and what was given.
    """
    _check_model(model)
    params = mapping("model_params", model_params, {})
    refuse_secrets(model_params=params, api_endpoint=api_endpoint)
    endpoint = api_endpoint or DEFAULT_COMPLETIONS_ENDPOINT
    check_client_params(params, endpoint)
    count = number("top_logprobs", top_logprobs, len(SCORES))
    return LogprobsFactory(model, endpoint, params, count, timeout_s)


def number(
    name: str, value: Any, low: float, high: float = math.inf, *, integer: bool = True, open_low: bool = False
) -> Any:
    """Check a number of a recipe.

    :param name: of the parameter.
    :param value: as given.
    :param low: least value allowed.
    :param high: greatest value allowed.
    :param integer: whether it must be whole.
    :param open_low: whether `low` itself is not allowed.
    :return: the value, as an int or a float.
    :raises RecipeError: when it is not allowed.
    """
    fits = isinstance(value, (int, float)) and not isinstance(value, bool) and math.isfinite(value)
    fits = fits and low <= value <= high and not (open_low and value == low) and not (integer and value != int(value))
    if fits:
        return int(value) if integer else float(value)
    kind = "a whole number" if integer else "a number"
    left = f"above {low:g}" if open_low else f"of at least {low:g}"
    right = "" if math.isinf(high) else f" and at most {high:g}"
    raise RecipeError(f"{name} must be {kind} {left}{right}, got {value!r}.")


def _check_model(model: Any) -> None:
    if not isinstance(model, str) or not model.strip():
        raise RecipeError(f"api_or_hf_model must be the name of a model, got {model!r}.")


def _refuse_server_params(params: Mapping[str, Any]) -> None:
    for name in ("api_endpoint", "response_path", *CLIENT_PARAMS):
        if params.get(name) is not None:
            raise RecipeError(f"{name} is of a server, and is_hf_model asks for a local model: take one of them out.")


def mapping(name: str, value: Any, default: Mapping[str, Any]) -> dict[str, Any]:
    """Check a mapping of a recipe.

    :param name: of the parameter.
    :param value: as given; None for the default.
    :param default: what stands in for None.
    :return: a copy.
    :raises RecipeError: when it is none, or a name in it is no text.
    """
    if value is None:
        return dict(default)
    if not isinstance(value, Mapping) or not all(isinstance(key, str) for key in value):
        raise RecipeError(f"{name} must be a mapping of names to values, got {type(value).__name__}.")
    return dict(value)


def _refuse_own_fields(sampling: Mapping[str, Any]) -> None:
    for name, advice in _OWN_FIELDS.items():
        if name in sampling:
            raise RecipeError(f"sampling_params must not contain {name!r}: {advice}.")
    extra = sampling.get("extra_body") or {}
    if not isinstance(extra, Mapping) or not all(isinstance(key, str) for key in extra):
        raise RecipeError(
            f"extra_body in sampling_params must be a mapping of names to values, got {type(extra).__name__}."
        )
    for name in _OWN_BODY_FIELDS:
        if name in extra:
            raise RecipeError(f"extra_body in sampling_params must not contain {name!r}: {_OWN_FIELDS[name]}.")


def refuse_secrets(**parameters: Any) -> None:
    """Refuse credentials, without repeating them.

    :param parameters: of a recipe, by name; `model_params` is a mapping.
    :raises RecipeError: when one holds a credential.
    """
    query = parameters["model_params"].get("default_query")
    if isinstance(query, Mapping) and secret_in(f"http://x/?{urlencode(query)}") is not None:
        path: str | None = "model_params.default_query"
    else:
        path = secret_in(parameters)
    if path is None:
        return
    last = path.rpartition(".")[2].lower()
    variable = "HF_TOKEN" if path.startswith("model_params.") and last in _HUB_TOKENS else "OPENAI_API_KEY"
    raise RecipeError(
        f"{path} looks like a credential, and recipes are shared and logged: take it out and set the environment "
        f"variable {variable} instead."
    )
