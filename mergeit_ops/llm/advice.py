"""The one sentence a user reads when the LLM stage has to stop."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.core.secrets import shown_url
from mergeit_ops.llm.classify import CallFailedError, FailureKind

__all__ = ["asked_to_wait", "too_many_failures", "unavailable", "without_logprobs"]

_SHOWN_MODELS = 8


def unavailable(failure: CallFailedError, identity: Mapping[str, Any]) -> str:
    """Say what to do when no call can succeed.

    :param failure: what the first calls ended with.
    :param identity: of the backend, for the names of server and model.
    """
    place = shown_url(str(identity.get("base_url", "the LLM server")))
    if failure.kind is FailureKind.UNAUTHORIZED:
        todo = "set the environment variable OPENAI_API_KEY to a key that is valid there"
        return f"The LLM server at {place} refused the API key ({failure.detail}): {todo}."
    if failure.kind is FailureKind.NOT_FOUND:
        what = f"model {identity.get('model')!r} at endpoint {identity.get('endpoint')!r}"
        todo = "check api_or_hf_model, api_endpoint and the base URL, which often ends in /v1"
        if failure.models and identity.get("model") not in failure.models:
            todo += f"; the models there are {_likest(str(identity.get('model')), failure.models)}"
        return f"The LLM server at {place} does not know {what} ({failure.detail}): {todo}."
    if failure.kind is FailureKind.BAD_REQUEST:
        todo = "check api_or_hf_model, sampling_params and api_endpoint"
        return f"The LLM server at {place} refuses every request ({failure.detail}): {todo}."
    if failure.kind is FailureKind.LOADING:
        return f"The LLM server at {place} is still loading its model ({failure.detail}): run again when it is ready."
    if failure.kind is FailureKind.NO_CREDIT:
        return f"The LLM server at {place} reports no credit left ({failure.detail}): top up, or change the key."
    if failure.kind is FailureKind.FORBIDDEN:
        todo = "check that the key OPENAI_API_KEY may use this model"
        return f"The LLM server at {place} forbids every request ({failure.detail}): {todo}."
    if failure.kind is FailureKind.RATE_LIMITED:
        return f"The LLM server at {place} refuses every request for its rate ({failure.detail}): run again later."
    if failure.kind is not FailureKind.UNREACHABLE:
        todo = (
            "check that the server is well and that base_url in model_params (or OPENAI_BASE_URL) is the address of an "
            "OpenAI-compatible API, which often ends in /v1"
        )
        return f"The LLM server at {place} gives no answer that can be used ({failure.detail}): {todo}."
    todo = "start the server, or check base_url in model_params (or OPENAI_BASE_URL)"
    return f"Nobody answers at {place} ({failure.detail}): {todo}."


def _likest(model: str, models: Sequence[str]) -> str:
    shown = difflib.get_close_matches(model, models, _SHOWN_MODELS, cutoff=0.0)
    names = ", ".join(map(repr, shown))
    return names if len(models) <= _SHOWN_MODELS else f"{names} and {len(models) - _SHOWN_MODELS} more"


def asked_to_wait(seconds: float, identity: Mapping[str, Any]) -> str:
    """Say that the server wants to be left alone for longer than a run waits.

    :param seconds: what it asks for.
    :param identity: of the backend.
    """
    place = shown_url(str(identity.get("base_url", "the LLM server")))
    return (
        f"The LLM server at {place} asks to wait {seconds:.0f} seconds, longer than a run waits: run the same recipe "
        "again later; the answers that came are in the cache, and only those that are missing are paid for."
    )


def without_logprobs(identity: Mapping[str, Any]) -> str:
    """Say that a server answers, but leaves out what was asked for.

    :param identity: of the backend.
    """
    place = shown_url(str(identity.get("base_url", "the LLM server")))
    return (
        f"The LLM server at {place} answers without log-probabilities at endpoint {identity.get('endpoint')!r}, and "
        "they are all that is read: serve the model with one that gives them for text completions, such as vLLM or "
        "llama.cpp."
    )


def too_many_failures(
    failed: int, outcomes: int, reasons: Mapping[str, int], max_failure_ratio: float, last: str | None
) -> str:
    """Say that too large a share of the requests failed.

    :param failed: requests without an answer.
    :param outcomes: requests that are through.
    :param reasons: failures by reason code.
    :param max_failure_ratio: the bound that was passed.
    :param last: the last failure of a call; None when all calls came through.
    """
    counts = ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
    cause = f", last error: {last}" if last else ""
    return (
        f"{failed} of {outcomes} requests to the LLM failed ({counts}{cause}), more than max_failure_ratio="
        f"{max_failure_ratio} allows; the answers that came are in the cache and are not asked for again."
    )
