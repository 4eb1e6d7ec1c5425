"""The sentences for a user when the LLM stage has to stop."""

from __future__ import annotations

import difflib
from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.core.secrets import shown_url
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.servers import THINKING_SWITCHES

__all__ = [
    "about_the_journal",
    "asked_to_wait",
    "no_answer_after_reasoning",
    "only_reasoning",
    "other_model",
    "parameter_cure",
    "refused_parameter",
    "shifted_logprobs",
    "too_many_failures",
    "unavailable",
    "without_first_loss",
    "without_logprobs",
    "without_parameter",
    "without_prompt_logprobs",
]

_SHOWN_MODELS = 8
_DAY_S = 86400


def unavailable(failure: CallFailedError, identity: Mapping[str, Any]) -> str:
    """Say what to do if no call can succeed.

    :param failure: failure of the first calls.
    :param identity: identity of the backend, for the names of server and model.
    """
    place = _place(identity)
    if failure.kind is FailureKind.UNAUTHORIZED:
        todo = "set the environment variable OPENAI_API_KEY to a key that is valid there"
        return f"The LLM server at {place} refused the API key ({failure.detail}): {todo}."
    if failure.kind is FailureKind.NOT_FOUND:
        what = f"model {identity.get('model')!r} at endpoint {_endpoint(identity)!r}"
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


def _place(identity: Mapping[str, Any]) -> str:
    return shown_url(str(identity.get("base_url", "the LLM server")))


def _endpoint(identity: Mapping[str, Any]) -> str:
    return shown_url(str(identity.get("endpoint", "")))


def _likest(model: str, models: Sequence[str]) -> str:
    shown = difflib.get_close_matches(model, models, _SHOWN_MODELS, cutoff=0.0)
    names = ", ".join(map(repr, shown))
    return names if len(models) <= _SHOWN_MODELS else f"{names} and {len(models) - _SHOWN_MODELS} more"


def asked_to_wait(failure: CallFailedError, identity: Mapping[str, Any]) -> str:
    """Say that the server asks for a longer wait than a run accepts.

    :param failure: failure with the seconds that the server asks for.
    :param identity: identity of the backend.
    """
    return (
        f"The LLM server at {_place(identity)} asks to wait {_span(failure.retry_after or 0)}, which is longer than a "
        f"run waits ({failure.detail}): run the same recipe again later."
    )


def _span(seconds: float) -> str:
    return f"{seconds:.0f} {agree(round(seconds), 'second', 'seconds')}" if seconds <= _DAY_S else "longer than a day"


def about_the_journal(answered: int, kept: int, unwritten: int, *, journal: bool, at_least: bool = False) -> str:
    """Say where the answers are that arrived before a run stopped; empty if there are none.

    :param answered: requests with an answer.
    :param kept: answers that the journal holds.
    :param unwritten: answers that could not be written to it.
    :param journal: whether the run has a journal.
    :param at_least: whether other tasks of the run may have added more.
    """
    if not answered and not kept:
        return ""
    if not journal:
        return "cache_path is null, so no answer is stored: a new run pays for all of them again."
    several = "1 answer is" if kept == 1 else f"{kept or 'No'} answers are"
    text = f"{'At least ' if at_least and kept else ''}{several} in the journal (cache_path)"
    if unwritten:
        text += f", and {unwritten} could not be written to it"
    return f"{text}: run the same recipe again; it asks and pays only for what is missing there."


def refused_parameter(failure: CallFailedError, identity: Mapping[str, Any]) -> str:
    """Say that the server does not accept a parameter of the recipe.

    :param failure: failure with the name of the field.
    :param identity: identity of the backend.
    """
    return (
        f"The LLM server at {_place(identity)} refuses {failure.field!r} for model {identity.get('model')!r} "
        f"({failure.detail}): remove it from sampling_params, or set it to a value that the server accepts."
    )


def parameter_cure(failure: CallFailedError) -> str:
    """Say what to do about a parameter of the recipe for which some requests are refused.

    :param failure: failure with the name of the field.
    """
    return f"take {failure.field!r} out of sampling_params, or give it a value that the server takes"


def without_parameter(failure: CallFailedError, value: object, identity: Mapping[str, Any]) -> str:
    """Say that a default parameter is no longer sent.

    :param failure: failure with the name of the field.
    :param value: value of the default.
    :param identity: identity of the backend.
    """
    return (
        f"The LLM server at {_place(identity)} refuses {failure.field}={value!r} ({failure.detail}). It is a "
        "default, so requests leave it out from now on; set another value in sampling_params if you need one."
    )


def no_answer_after_reasoning(reasoning: str) -> str:
    """Say that a model wrote reasoning but no answer, and what helps.

    :param reasoning: length of the reasoning, and how it ended.
    """
    return (
        f"the content is empty, but there is {reasoning}: raise max_tokens (or max_completion_tokens) in "
        f"sampling_params, or have the model think less there, e.g. {THINKING_SWITCHES}"
    )


def only_reasoning(words: str, identity: Mapping[str, Any]) -> str:
    """Say that all requests so far returned only reasoning.

    :param words: from `no_answer_after_reasoning`.
    :param identity: identity of the backend.
    """
    model = identity.get("model")
    return f"Model {model!r} at {_place(identity)} writes its reasoning but no answer: {words}."


def other_model(answered: str, identity: Mapping[str, Any]) -> str:
    """Say that a different model answered.

    :param answered: the name in the response.
    :param identity: identity of the backend.
    """
    model = identity.get("model")
    return (
        f"The LLM server at {_place(identity)} was asked for model {model!r} but says that {answered!r} answered. "
        "Rows and the journal name the one that answered; check api_or_hf_model if that is not what you want."
    )


def without_logprobs(identity: Mapping[str, Any]) -> str:
    """Say that a server answers without log-probabilities.

    :param identity: identity of the backend.
    """
    place = _place(identity)
    return (
        f"The LLM server at {place} answers without log-probabilities at endpoint {_endpoint(identity)!r}, and "
        "they are all that is read: serve the model with one that gives them for text completions, such as vLLM or "
        "llama.cpp."
    )


def without_prompt_logprobs(identity: Mapping[str, Any], tried: Mapping[str, str]) -> str:
    """Say that a server gives no log-probabilities of a prompt, however it is asked.

    :param identity: identity of the backend.
    :param tried: each way that was tried, and the server's reaction.
    """
    ways = "; ".join(f"{way}: {words}" for way, words in tried.items())
    return (
        f"The LLM server at {_place(identity)} gives no log-probabilities of a prompt at endpoint "
        f"{_endpoint(identity)!r} ({ways}), and they are all that is read: serve the model with one that gives them, "
        "such as vLLM, or llama-cpp-python with logits_all (its server's default); llama.cpp's own server has none."
    )


def shifted_logprobs(identity: Mapping[str, Any]) -> str:
    """Say that a server gives each token the log-probability of another.

    :param identity: identity of the backend.
    """
    return (
        f"The LLM server at {_place(identity)} lists the log-probabilities of a prompt one token late, as "
        "llama-cpp-python does for a model that has no BOS in front of a text: begin start_text with the text of the "
        "BOS that its file names, such as <|endoftext|>, or serve the model with vLLM."
    )


def without_first_loss(identity: Mapping[str, Any]) -> str:
    """Say that the first token of a text that stands alone has no log-probability.

    :param identity: identity of the backend.
    """
    return (
        f"The LLM server at {_place(identity)} gives no log-probability for the first token of a text that stands "
        "alone, and without it the losses are not of the same tokens: set start_text to a text that stands in front, "
        r"such as the model's BOS or EOS (<|endoftext|>, </s>), or, where the server leaves that out, a line break "
        r'("\n" in double quotes).'
    )


def too_many_failures(
    failed: int, outcomes: int, reasons: Mapping[str, int], max_failure_ratio: float, last_errors: Mapping[str, str]
) -> str:
    """Say that too large a share of the requests failed.

    :param failed: requests without an answer.
    :param outcomes: finished requests.
    :param reasons: failures by reason code.
    :param max_failure_ratio: the limit that was exceeded.
    :param last_errors: the last error of each reason, by reason code.
    """
    counts = ", ".join(f"{reason}: {count}" for reason, count in sorted(reasons.items()))
    commonest = max(reasons, key=lambda reason: (reason in last_errors, reasons[reason]))
    cause = f", last error: {last_errors[commonest]}" if commonest in last_errors else ""
    return (
        f"{failed} of {many(outcomes, 'request')} to the LLM failed ({counts}{cause}), more than max_failure_ratio="
        f"{max_failure_ratio} allows."
    )
