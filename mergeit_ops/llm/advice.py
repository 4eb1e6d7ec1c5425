"""The one sentence a user reads when the LLM stage has to stop."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any
from urllib.parse import urlsplit

from mergeit_ops.llm.classify import CallFailedError, FailureKind

__all__ = ["too_many_failures", "unavailable"]


def unavailable(failure: CallFailedError, identity: Mapping[str, Any]) -> str:
    """Say what to do when no call can succeed.

    :param failure: what the first calls ended with.
    :param identity: of the backend, for the names of server and model.
    """
    place = _shown(str(identity.get("base_url", "the LLM server")))
    if failure.kind is FailureKind.UNAUTHORIZED:
        todo = "set the environment variable OPENAI_API_KEY to a key that is valid there"
        return f"The LLM server at {place} refused the API key ({failure.detail}): {todo}."
    if failure.kind is FailureKind.NOT_FOUND:
        what = f"model {identity.get('model')!r} at endpoint {identity.get('endpoint')!r}"
        todo = "check api_or_hf_model, api_endpoint and the base URL"
        return f"The LLM server at {place} does not know {what} ({failure.detail}): {todo}."
    if failure.kind is FailureKind.NO_CREDIT:
        return f"The LLM server at {place} reports no credit left ({failure.detail}): top up, or change the key."
    todo = "start the server, or check base_url in model_params (or OPENAI_BASE_URL)"
    return f"Nobody answers at {place} ({failure.detail}): {todo}."


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


def _shown(url: str) -> str:
    """Return an address without the user name, password and query it may carry."""
    parts = urlsplit(url)
    if not parts.hostname:
        return url
    return f"{parts.scheme}://{parts.netloc.rpartition('@')[2]}{parts.path}"
