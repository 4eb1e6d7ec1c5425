"""The log-probabilities of the first token after a prompt, from an OpenAI-compatible server's text completions."""

from __future__ import annotations

import json
import math
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mergeit_ops.constraints import Number, check
from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.scoring.deita import SCORES
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.advice import without_logprobs
from mergeit_ops.llm.backend import ChatBackend, Completion
from mergeit_ops.llm.completions import CompletionsFactory
from mergeit_ops.llm.connection import Connection
from mergeit_ops.llm.failures import CallFailedError
from mergeit_ops.llm.responses import read_completion, value_at
from mergeit_ops.llm.servers import listed_logprobs

if TYPE_CHECKING:
    from mergeit_ops.llm.settings import LLMSettings

__all__ = ["LogprobsClient", "LogprobsFactory", "first_logprobs"]

_LOGPROBS = "logprobs"
_LARGEST = 1e300


@dataclass(frozen=True)
class LogprobsFactory(CompletionsFactory):
    """Makes clients that ask one model for the most likely first tokens of its answer.

    The answer, which the journal keeps and a request's `parse` reads, is a JSON object of sorted tokens and their
    log-probabilities.

    :param top_logprobs: number of requested tokens.
    """

    top_logprobs: int = 20
    seen: set[str] = field(default_factory=set, compare=False, repr=False)
    """What a server has been seen to return, kept from client to client."""

    reads = "logprobs"
    response_path = "choices.0.text"
    form = None
    """There is only one way to ask; see `BatchFactory`."""

    @classmethod
    def from_settings(
        cls, settings: LLMSettings, accelerator: str | None = None, top_logprobs: int = 20
    ) -> LogprobsFactory:
        """See `BackendFactory`.

        :param top_logprobs: at least 6, the number of digits that are scores.
        """
        check({"top_logprobs": Number(low=len(SCORES), integer=True)}, {"top_logprobs": top_logprobs})
        return cls(**cls.fields_of(settings), top_logprobs=int(top_logprobs))

    @property
    def sampling_params(self) -> Mapping[str, Any]:
        """One token at temperature 0; only its log-probabilities are read."""
        return {"max_tokens": 1, "temperature": 0, "logprobs": self.top_logprobs}

    def line(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """See `BatchFactory`. The contents are the prompt, which is sent without roles and without a chat template."""
        prompt = "".join(turn["content"] for turn in messages)
        return {"model": self.model, "prompt": prompt, **sampling_params}

    def read(self, payload: object) -> Completion:
        """See `BatchFactory`.

        :raises LLMUnavailableError: if the first response with a choice has no log-probabilities; such a server never
            returns them.
        """
        completion = read_completion(payload, self.response_path)
        # One token was requested, so a length limit or a blank token says nothing.
        completion = replace(completion, text="", problem=None, completion_tokens=completion.completion_tokens or 1)
        if completion.finish_reason == "content_filter":
            return replace(completion, problem=FailureReason.REFUSED)
        if not isinstance(value_at(payload, "choices.0"), Mapping):
            return replace(completion, problem=FailureReason.NO_CHOICES)
        logprobs = first_logprobs(payload)
        if logprobs:
            self.seen.add(_LOGPROBS)
            return replace(completion, text=json.dumps(logprobs, sort_keys=True, separators=(",", ":")))
        if _LOGPROBS not in self.seen:
            raise LLMUnavailableError(without_logprobs(self.identity()))
        return replace(completion, problem=FailureReason.NO_LOGPROBS)

    def accepted(self, form: None) -> None:
        """See `BatchFactory`."""

    def rewrites(self, failure: CallFailedError, sent: Mapping[str, Any], form: None) -> bool:
        """See `BatchFactory`."""
        return False

    def create(self, max_concurrency: int) -> ChatBackend:
        """Make the client.

        :param max_concurrency: not needed here, connections are opened as required.
        :raises LLMUnavailableError: if there is no key, and no server that needs none.
        """
        return LogprobsClient(self.connection(self.sampling_params), self)


class LogprobsClient:
    """Asks one model of one server; failed calls become a `CallFailedError`.

    :param connection: to the server.
    :param spec: what to ask.
    """

    def __init__(self, connection: Connection, spec: LogprobsFactory) -> None:
        self._connection = connection
        self._spec = spec

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Ask for the log-probabilities after one prompt.

        :param messages: turns whose contents are the prompt, which is sent without roles and without a chat template.
        :param sampling_params: fields of the request body.
        :param schema: not used.
        :raises CallFailedError: if there is no response.
        :raises LLMUnavailableError: if the first response with a choice has no log-probabilities; such a server never
            returns them.
        """
        body = self._spec.line(messages, sampling_params)
        payload = await self._connection.post(self._spec.api_endpoint, body)
        return self._connection.shown(self._spec.read(payload))

    async def models(self) -> tuple[str, ...]:
        """Return the names of the models that the server lists."""
        return await self._connection.models(self._spec.api_endpoint)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connection.aclose()


def first_logprobs(payload: object) -> dict[str, float]:
    """Read the most likely first tokens of a completion and their log-probabilities.

    :param payload: the decoded body of a response.
    :return: maps each token to its log-probability, the larger one if a token is listed twice; empty if there are none.
    """
    found: dict[str, float] = {}
    for token, logprob in listed_logprobs(payload):
        if not isinstance(token, str) or isinstance(logprob, bool) or not isinstance(logprob, (int, float)):
            continue
        # A JSON integer may be too large for a float.
        if abs(logprob) < _LARGEST:
            # Two pieces of a vocabulary may have the same text; the other is a raw byte and very unlikely.
            found[token] = max(float(logprob), found.get(token, -math.inf))
    return found
