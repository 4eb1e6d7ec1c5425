"""Check the parameters of a server before anything is opened."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any
from urllib.parse import urlencode

from mergeit_ops.constraints import refuse_secrets
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.address import address_problem, endpoint_problem
from mergeit_ops.llm.header_fields import headers_problem, text_problem

__all__ = ["CLIENT_PARAMS", "check_client_params"]

CLIENT_PARAMS = ("base_url", "default_headers", "default_query", "organization", "project")

_ENVIRONMENT = (
    "proxies and certificates come from the environment (HTTPS_PROXY, NO_PROXY, SSL_CERT_FILE), and a recipe cannot "
    "hold a client"
)
_AZURE = "write the deployment's address into base_url, and api-version into default_query"
_ADVICE = {
    "timeout": "use the operator's timeout_s instead",
    "timeout_s": "it is a parameter of the operator, not of model_params",
    "max_retries": "failed calls are made again by the operator itself; try_num counts answers",
    "model": "use api_or_hf_model instead",
    "stream": "answers are not streamed",
    "extra_headers": "use default_headers instead",
    "extra_query": "use default_query instead",
    "default_header": "the name is default_headers",
    "headers": "the name is default_headers",
    "query": "the name is default_query",
    "api_base": "the name is base_url",
    "url": "the name is base_url",
    "host": "the name is base_url",
    "endpoint": "use base_url, or the operator's api_endpoint",
    "extra_body": "it belongs in sampling_params",
    **dict.fromkeys(("azure_endpoint", "azure_deployment", "api_version", "api-version"), _AZURE),
    **dict.fromkeys(
        ("http_client", "proxy", "proxies", "http_proxy", "https_proxy", "verify", "cert", "trust_env", "mounts",
         "transport", "follow_redirects", "http_options"),
        _ENVIRONMENT,
    ),
}  # fmt: skip


def check_client_params(params: Mapping[str, Any], endpoint: str, sampling_params: Mapping[str, Any]) -> None:
    """Check the parameters of a recipe about a server.

    :param params: `model_params`.
    :param endpoint: path below the base URL, or a whole URL.
    :param sampling_params: fields that are sent with each request.
    :raises RecipeError: if one cannot work. The sentence names the parameter, the allowed values, and the given value.
    """
    sent = {"model_params": params, "sampling_params": sampling_params, "api_endpoint": endpoint}
    query = params.get("default_query")
    if isinstance(query, Mapping):
        # Names such as `key` indicate a secret only in an address.
        sent["model_params.default_query"] = f"http://x/?{urlencode(query)}"
    refuse_secrets(sent, variable="OPENAI_API_KEY")
    problem = _problem(params, endpoint)
    if problem is not None:
        raise RecipeError(problem)


def _problem(params: Mapping[str, Any], endpoint: str) -> str | None:
    unknown = sorted(set(params) - set(CLIENT_PARAMS))
    if unknown:
        advice = _ADVICE.get(unknown[0].lower())
        return (
            f"model_params may contain {', '.join(CLIENT_PARAMS)} for an OpenAI-compatible server, got {unknown[0]!r}"
            f"{f': {advice}' if advice else ''}."
        )
    problem = endpoint_problem(endpoint)
    url = params.get("base_url")
    if problem is None and url is not None:
        problem = address_problem("base_url in model_params", url.strip() if isinstance(url, str) else url, endpoint)
    return problem or _fields_problem(params)


def _fields_problem(params: Mapping[str, Any]) -> str | None:
    for name in ("default_headers", "default_query"):
        if not isinstance(params.get(name) or {}, Mapping):
            return f"{name} in model_params must be a mapping of names to values."
    what = headers_problem(params.get("default_headers") or {})
    if what is not None:
        return f"default_headers in model_params {what}."
    for field, value in (params.get("default_query") or {}).items():
        try:
            json.dumps({field: value}, allow_nan=False)
        except (TypeError, ValueError, RecursionError):
            return (
                f"default_query in model_params must hold plain values, but the value of {field!r} is of type "
                f"{type(value).__name__}: put it in quotes."
            )
    for name in ("organization", "project"):
        value = params.get(name)
        if value is not None and not isinstance(value, str):
            return f"{name} in model_params must be a text, got {value!r}: put it in quotes."
        what = text_problem(value) if value else None
        if what is not None:
            return f"{name} in model_params {what}."
    return None
