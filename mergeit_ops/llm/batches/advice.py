"""The sentences a user reads when a run that asks in batches has to stop."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.core.secrets import shown_url
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.llm.failures import CallFailedError

__all__ = [
    "batch_incomplete",
    "batch_refused",
    "batch_too_large",
    "batch_unknown",
    "requests_written",
    "still_to_be_run",
    "without_batches",
]

_SHOWN_FILES = 3


def _place(identity: Mapping[str, Any]) -> str:
    return shown_url(str(identity.get("base_url", "the LLM server")))


def without_batches(failure: CallFailedError, identity: Mapping[str, Any]) -> str:
    """Say that a server has no batch API.

    :param failure: what a call to it ended with.
    :param identity: of the backend.
    """
    return (
        f"The LLM server at {_place(identity)} has no batch API ({failure.detail}): set api_mode to online, or "
        "batch_folder to a folder and run the files there with vLLM's run-batch; check the base URL, which often ends "
        "in /v1."
    )


def batch_incomplete(batch_id: str, found: int, said: int, identity: Mapping[str, Any]) -> str:
    """Say that the files of a batch lack responses.

    :param batch_id: its id.
    :param found: responses in its files.
    :param said: responses that there are, as the server says.
    :param identity: of the backend.
    """
    return (
        f"The LLM server at {_place(identity)} says that batch {batch_id} has {said:,} responses, but its files hold "
        f"{found:,}: run the same recipe again later, or give the batch up with `python -m mergeit_ops batch forget "
        f"{batch_id}`; its requests are then paid for again."
    )


def batch_refused(batch_id: str, words: str, identity: Mapping[str, Any]) -> str:
    """Say that a server refuses a batch as a whole.

    :param batch_id: its id.
    :param words: the server's.
    :param identity: of the backend.
    """
    return (
        f"The LLM server at {_place(identity)} refuses batch {batch_id} ({words}): check api_or_hf_model, "
        "sampling_params and api_endpoint. Nothing was paid for it."
    )


def batch_too_large(words: str, identity: Mapping[str, Any]) -> str:
    """Say that a server accepts no batch for its size, or for what is under way already.

    :param words: the server's.
    :param identity: of the backend.
    """
    return (
        f"The LLM server at {_place(identity)} accepts none of the batches ({words}): lower batch_max_requests, or run "
        "the same recipe again when other batches are completed. Nothing was paid for them."
    )


def batch_unknown(batch_id: str, failure: CallFailedError, identity: Mapping[str, Any]) -> str:
    """Say that a server does not know a batch that was submitted.

    :param batch_id: its id.
    :param failure: what the call ended with.
    :param identity: of the backend.
    """
    return (
        f"The LLM server at {_place(identity)} does not know batch {batch_id} ({failure.detail}): use the key of the "
        "project that submitted it, or give it up with `python -m mergeit_ops batch forget "
        f"{batch_id}`; its requests are then paid for again."
    )


def requests_written(paths: Sequence[str], number: int, model: str, journal: object) -> str:
    """Say what to do with files of requests.

    :param paths: of the files.
    :param number: of requests in them.
    :param model: that is asked.
    :param journal: path of the journal.
    """
    example = f"vllm run-batch -i {paths[0]} -o responses.jsonl --model {model}"
    return (
        f"{many(number, 'request')} {agree(number, 'is', 'are')} in {_shown(paths)}. Run each file, for instance by "
        f"`{example}`, then read the "
        f"responses by `python -m mergeit_ops batch import responses.jsonl --cache-path {journal}` and run the same "
        "recipe again."
    )


def still_to_be_run(paths: Sequence[str], number: int, model: str, journal: object) -> str:
    """Say that requests wait in files that an earlier run wrote, so that they must not be asked otherwise.

    :param paths: of the files.
    :param number: of requests in them.
    :param model: that is asked.
    :param journal: path of the journal.
    """
    return (
        f"{requests_written(paths, number, model, journal)} To ask otherwise, give the files up: "
        f"`python -m mergeit_ops batch forget {paths[0]} --cache-path {journal}`."
    )


def _shown(paths: Sequence[str]) -> str:
    more = len(paths) - _SHOWN_FILES
    return ", ".join(paths[:_SHOWN_FILES]) + (f" and {many(more, 'more file')} there" if more > 0 else "")
