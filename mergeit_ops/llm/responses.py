"""Read the response body of an OpenAI-compatible server leniently, because servers differ."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergeit_ops.core.formats.marks import split_reasoning
from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.llm.backend import Completion

__all__ = ["completion_problem", "read_completion", "reasoning_in", "value_at"]

_MISSING = object()
_REASONING_FIELDS = ("reasoning_content", "reasoning", "thinking", "reasoning_text", "reasoning_details")
"""Reasoning fields: DeepSeek, vLLM and SGLang; OpenRouter, Groq and newer vLLM; Ollama; OpenRouter."""
_REASONING_PARTS = ("thinking", "reasoning")
_REASONING_COUNTS = (
    "completion_tokens_details.reasoning_tokens",
    "output_tokens_details.reasoning_tokens",
    "reasoning_tokens",
)
_CACHED_COUNTS = (
    "prompt_tokens_details.cached_tokens",
    "input_tokens_details.cached_tokens",
    "prompt_cache_hit_tokens",
    "cached_tokens",
)
"""Prompt tokens from a cache: OpenAI, vLLM and llama.cpp; OpenAI's Responses; DeepSeek; Moonshot."""
_MAX_COUNT = 2**31
_MAX_DEPTH = 6


def read_completion(payload: object, response_path: str) -> Completion:
    """Read one response.

    :param payload: the decoded JSON body, of any shape.
    :param response_path: path of the text, e.g. `choices.0.message.content`.
    :return: the completion; its `problem` says why a text is not an answer.
    """
    value = value_at(payload, response_path)
    steps = response_path.split(".")
    choice = value_at(payload, ".".join(steps[:2])) if steps[0] == "choices" else payload
    message = value_at(choice, "message")
    finish = _text_or_none(value_at(choice, "finish_reason"))
    refusal = _text_or_none(value_at(message, "refusal"))
    text = _content(value)
    model = value_at(payload, "model")
    problem = completion_problem(text, finish, refusal, missing=value is _MISSING)
    return Completion(
        text=text,
        finish_reason=finish,
        refusal=refusal,
        prompt_tokens=_count(payload, "prompt_tokens", "input_tokens"),
        completion_tokens=_count(payload, "completion_tokens", "output_tokens"),
        cached_tokens=_count(payload, *_CACHED_COUNTS),
        problem=problem,
        model=model if isinstance(model, str) and model.strip() else None,
        only_reasoning=problem is not FailureReason.REFUSED and reasoning_in(payload, message, value) is not None,
    )


def reasoning_in(payload: object, message: object, content: object) -> int | None:
    """Return the number of characters of reasoning in a response without an answer.

    :param payload: the decoded body.
    :param message: the message in it.
    :param content: value at the place of the answer's text.
    :return: characters, or 0 if the server only counts its tokens; None if there is an answer, or no reasoning.
    """
    text = _content(content)
    thoughts, answer = split_reasoning(text)
    if answer.strip():
        return None
    written = len(thoughts.strip())
    if isinstance(content, list):
        parts = [part for part in content if isinstance(part, Mapping) and part.get("type") in _REASONING_PARTS]
        written += sum(map(_length, parts))
    written += max((_length(value_at(message, name)) for name in _REASONING_FIELDS), default=0)
    if written:
        return written
    return 0 if any(_count(payload, name) for name in _REASONING_COUNTS) else None


def completion_problem(
    text: str, finish_reason: str | None, refusal: str | None = None, missing: bool = False
) -> FailureReason | None:
    """Return why a text must not be read as an answer.

    :param text: text of the model.
    :param finish_reason: why the model stopped, in OpenAI's terms.
    :param refusal: the refusal text.
    :param missing: whether the response has no place for a text at all.
    :return: the reason; None if the text may be read.
    """
    if refusal or finish_reason == "content_filter":
        return FailureReason.REFUSED
    if finish_reason == "length":
        return FailureReason.TRUNCATED
    if missing:
        return FailureReason.NO_CHOICES
    return None if text.strip() else FailureReason.EMPTY


def value_at(payload: object, path: str) -> Any:
    """Return the value at a dotted path of keys and list positions.

    :param payload: nested dicts and lists.
    :param path: for instance `choices.0.message.content`.
    :return: the value, which may be None; if there is nothing at the path, an object that is neither None, text, number
        nor container.
    """
    for step in path.split("."):
        if isinstance(payload, dict) and step in payload:
            payload = payload[step]
        elif isinstance(payload, list) and step.isascii() and step.isdigit() and int(step) < len(payload):
            payload = payload[int(step)]
        else:
            return _MISSING
    return payload


def _content(value: object) -> str:
    if isinstance(value, str):
        return value
    if isinstance(value, list):
        # Some servers return the text in parts.
        parts = [part for part in value if isinstance(part, Mapping) and part.get("type") not in _REASONING_PARTS]
        return "".join(part["text"] for part in parts if isinstance(part.get("text"), str))
    return ""


def _length(value: object, depth: int = 0) -> int:
    """Return the number of characters of all texts in a value, without surrounding blanks and names of kinds."""
    if isinstance(value, str):
        return len(value.strip())
    if depth > _MAX_DEPTH:
        return 0
    if isinstance(value, Mapping):
        return sum(_length(inner, depth + 1) for name, inner in value.items() if name != "type")
    return sum(_length(inner, depth + 1) for inner in value) if isinstance(value, list) else 0


def _text_or_none(value: object) -> str | None:
    return value if isinstance(value, str) else None


def _count(payload: object, *names: str) -> int | None:
    for name in names:
        value = value_at(payload, f"usage.{name}")
        if isinstance(value, int) and not isinstance(value, bool) and 0 <= value < _MAX_COUNT:
            return value
    return None
