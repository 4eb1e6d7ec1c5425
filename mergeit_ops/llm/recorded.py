"""A backend with recorded answers: the whole path of a request, without a model.

It is for trying recipes. The quickstart replays merges that were written for the included sample.
"""

from __future__ import annotations

import hashlib
import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from functools import lru_cache
from pathlib import Path
from typing import TYPE_CHECKING, Any

from mergeit_ops.core.rows.row_files import UnreadableFileError, rows_of_file
from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.llm.backend import ChatBackend, Completion
from mergeit_ops.llm.failures import CallFailedError, FailureKind

if TYPE_CHECKING:
    from mergeit_ops.llm.settings import LLMSettings

__all__ = ["RecordedBackend", "RecordedFactory"]

_RECORDS = re.compile(r"<records>\n(.*)\n</records>", re.DOTALL)

_Key = tuple[tuple[str, str], ...]
"""Instruction and input of each record of a request, in alphabetical order."""


@dataclass(frozen=True)
class RecordedFactory:
    """Makes backends that answer from a file.

    :param path: JSON Lines. Each line has `records`, a list of objects with `instruction` and `input`, and the `answer`
        to a request about these records: an object, which is sent as JSON, or a text.
    :param sampling_params: not used.
    """

    path: str
    sampling_params: Mapping[str, Any] = field(default_factory=dict)

    environment = ()

    @classmethod
    def from_settings(cls, settings: LLMSettings, accelerator: str | None = None) -> RecordedFactory:
        """See `BackendFactory`; `api_or_hf_model` names the file."""
        if settings.api_endpoint or settings.response_path or settings.model_params:
            raise RecipeError(
                "backend: recorded reads a file, which api_or_hf_model names: remove api_endpoint, response_path and "
                "model_params."
            )
        return cls(settings.api_or_hf_model, dict(settings.sampling_params or {}))

    def identity(self) -> Mapping[str, Any]:
        """Return what identifies the answers: the file's name and content."""
        digest = _digest_of(self.path, _version(self.path))
        return {"base_url": "recorded", "model": f"recorded: {Path(self.path).name}", "file": digest}

    def check(self) -> None:
        """Read the file, before any work.

        :raises LLMUnavailableError: if it cannot be read, or a line is not a recorded answer.
        """
        _answers_of(self.path, _version(self.path))

    def create(self, max_concurrency: int) -> ChatBackend:
        """See `BackendFactory`."""
        return RecordedBackend(_answers_of(self.path, _version(self.path)))


class RecordedBackend:
    """Answers a request by the records in its last turn that has records.

    :param answers: the answer to a request about some records.
    """

    def __init__(self, answers: Mapping[_Key, str]) -> None:
        self._answers = answers

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> Completion:
        """See `ChatBackend`; records without an answer are refused, each separately."""
        asked = next((found for turn in reversed(messages) if (found := _RECORDS.search(turn["content"]))), None)
        try:
            answer = None if asked is None else self._answers.get(_key(json.loads(asked[1])))
        except (ValueError, KeyError, TypeError, AttributeError):
            answer = None  # another kind of request, such as one about a text
        if answer is None:
            raise CallFailedError(
                FailureKind.REFUSED,
                "there is no recorded answer for these records; to merge rows of your own, ask a model",
            )
        return Completion(answer)


def _key(records: Sequence[Mapping[str, Any]]) -> _Key:
    return tuple(sorted((str(record["instruction"]), str(record.get("input") or "")) for record in records))


def _version(path: str) -> tuple[int, int]:
    """Return size and time of a file, or zeros if it does not exist. Its cached content is valid as long as both are
    the same."""
    try:
        found = Path(path).stat()
    except OSError:
        return 0, 0
    return found.st_size, found.st_mtime_ns


@lru_cache(maxsize=4)
def _digest_of(path: str, version: tuple[int, int]) -> str:
    try:
        return hashlib.sha256(Path(path).read_bytes()).hexdigest()
    except OSError:
        return ""


@lru_cache(maxsize=4)
def _answers_of(path: str, version: tuple[int, int]) -> Mapping[_Key, str]:
    answers: dict[_Key, str] = {}
    try:
        for number, line in rows_of_file(Path(path)):
            try:
                answer = line["answer"]
                answers[_key(line["records"])] = (
                    answer if isinstance(answer, str) else json.dumps(answer, ensure_ascii=False)
                )
            except (KeyError, TypeError, AttributeError) as error:
                raise LLMUnavailableError(
                    f"Line {number} of the recorded answers '{path}' is none: it needs 'records', a list of objects "
                    "with 'instruction' and 'input', and 'answer'."
                ) from error
    except OSError as error:
        raise LLMUnavailableError(
            f"The recorded answers '{path}' cannot be read ({error.strerror or error}): api_or_hf_model must name the "
            "file, from the folder in which dj-process runs."
        ) from error
    except UnreadableFileError as error:
        raise LLMUnavailableError(f"The recorded answers '{path}' cannot be read: {error.reason}.") from error
    return answers
