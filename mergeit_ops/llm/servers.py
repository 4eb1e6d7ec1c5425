"""What OpenAI-compatible servers do differently from each other, all in one place: nothing else knows one from another.

What is written here has been seen at the servers (docs/servers.md says which and in which version) or stands in their
documentation. The status code decides as long as it says enough; what a server writes is looked at only where it does
not.
"""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from enum import Enum
from typing import Any

from mergeit_ops.llm.responses import value_at

__all__ = ["CAP_FIELDS", "Complaint", "complaint_in", "listed_logprobs", "response_formats"]

CAP_FIELDS = ("max_tokens", "max_completion_tokens")
"""Names of the bound on an answer's tokens: most servers know the first only, OpenAI's reasoning models the second."""


class Complaint(str, Enum):
    """What a server says that its status code does not tell."""

    TOO_LONG = "too_long"
    UNKNOWN_MODEL = "unknown_model"
    WRONG_KEY = "wrong_key"
    LOADING = "loading"
    CONTENT = "content"


_CODES = {
    # OpenAI and llama-cpp-python; llama.cpp.
    "context_length_exceeded": Complaint.TOO_LONG,
    "exceed_context_size_error": Complaint.TOO_LONG,
    # OpenAI with 404, llama-cpp-python with 400.
    "model_not_found": Complaint.UNKNOWN_MODEL,
    # LiteLLM without a database, to every key but its master key.
    "no_db_connection": Complaint.WRONG_KEY,
    # Azure, whose filter refuses a prompt in the same words each time.
    "content_filter": Complaint.CONTENT,
}
_TEXTS = (
    # vLLM; LiteLLM in front of any of them.
    (re.compile(r"maximum context length|ContextWindowExceededError"), Complaint.TOO_LONG),
    # LiteLLM; `transformers serve MODEL`.
    (re.compile(r"Invalid model name passed in model=|Server is pinned to '"), Complaint.UNKNOWN_MODEL),
)
_LOADING = re.compile(r"loading model", re.IGNORECASE)
_REFUSALS = (400, 413, 422)
_UNAVAILABLE = 503


def complaint_in(status: int | None, error: object, text: str) -> Complaint | None:
    """Tell what a failed call is about, where the status code does not.

    :param status: of the response; None for an error in a body that claims to be good, and names no status.
    :param error: the error in its body, of any shape.
    :param text: the same as a text for people.
    :return: the complaint; None when the status says it all.
    """
    if status == _UNAVAILABLE:
        # llama.cpp listens before its model is loaded.
        return Complaint.LOADING if _LOADING.search(text) else None
    if status is not None and status not in _REFUSALS:
        return None
    if isinstance(error, Mapping):
        for name in ("code", "type"):
            complaint = _CODES.get(str(error.get(name)))
            if complaint is not None:
                return complaint
    if status is None:
        return None
    return next((complaint for pattern, complaint in _TEXTS if pattern.search(text)), None)


def response_formats(schema: Mapping[str, Any]) -> tuple[Mapping[str, Any] | None, ...]:
    """Return the ways to ask for JSON, strictest first; None asks in the prompt only.

    :param schema: JSON schema of the answer.
    """
    return (
        # OpenAI, vLLM, llama.cpp, Ollama, LiteLLM; `transformers serve` takes it and does not look at it.
        {"type": "json_schema", "json_schema": {"name": "answer", "schema": dict(schema), "strict": True}},
        # llama-cpp-python, which fails with 500 over the first.
        {"type": "json_object", "schema": dict(schema)},
        {"type": "json_object"},
        None,
    )


def listed_logprobs(payload: object) -> Iterator[tuple[object, object]]:
    """Yield the most likely first tokens of a text completion with their log-probabilities, whatever they are.

    `top_logprobs.0` is a mapping of token to number (text completions of OpenAI, vLLM and llama-cpp-python),
    `content.0.top_logprobs` a list of `token` and `logprob` (llama.cpp, also behind LiteLLM).

    :param payload: the decoded body of a response.
    """
    logprobs = value_at(payload, "choices.0.logprobs")
    mapping = value_at(logprobs, "top_logprobs.0")
    if isinstance(mapping, Mapping):
        yield from mapping.items()
    listed = value_at(logprobs, "content.0.top_logprobs")
    if isinstance(listed, list):
        yield from ((entry.get("token"), entry.get("logprob")) for entry in listed if isinstance(entry, Mapping))
