"""The log-probabilities of the tokens of a prompt, from an OpenAI-compatible server's text completions."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field, replace
from typing import TYPE_CHECKING, Any

from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.scoring.prompt_tokens import Tokens, first_token_behind, spells, tokens_as_text
from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.llm.advice import shifted_logprobs, without_first_loss, without_prompt_logprobs
from mergeit_ops.llm.backend import ChatBackend, Completion
from mergeit_ops.llm.completions import CompletionsFactory
from mergeit_ops.llm.connection import Connection
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.modes import IgnoredModeError, Modes
from mergeit_ops.llm.responses import read_completion, value_at
from mergeit_ops.llm.servers import echoed_tokens, prompt_logprobs

if TYPE_CHECKING:
    from mergeit_ops.llm.settings import LLMSettings

__all__ = ["PromptLogprobsClient", "PromptLogprobsFactory"]

Listed = list[tuple[object, object]]

_LARGEST = 1e300
_FIRST = "first"


@dataclass(frozen=True)
class _Form:
    """A way to ask.

    :param name: name of the field that asks, for messages.
    :param fields: of the request.
    :param read: function that returns the listed tokens with their log-probabilities.
    :param echoes: whether tokens of the completion follow those of the prompt.
    """

    name: str
    fields: Mapping[str, Any]
    read: Callable[[object], Listed]
    echoes: bool


# Several servers know the first form. With 0 instead of 1, some leave out the log-probabilities.
_FORMS = (
    _Form("echo", {"echo": True, "logprobs": 1}, echoed_tokens, echoes=True),
    _Form("prompt_logprobs", {"prompt_logprobs": 1}, prompt_logprobs, echoes=False),
)


@dataclass(frozen=True)
class PromptLogprobsFactory(CompletionsFactory):
    """Makes clients that ask one model how likely it finds the tokens of a prompt.

    The answer, which the journal keeps and a request's `parse` reads, holds all tokens of the prompt with their
    log-probabilities; see `tokens_of`. So every measure of the text can use it.
    """

    modes: Modes = field(default_factory=lambda: Modes(("logprobs",)), compare=False, repr=False)
    """How to ask the server, kept from client to client."""
    seen: set[str] = field(default_factory=set, compare=False, repr=False)
    """What the server has been seen to return."""

    reads = "prompt_logprobs"

    @classmethod
    def from_settings(cls, settings: LLMSettings, accelerator: str | None = None) -> PromptLogprobsFactory:
        """See `BackendFactory`."""
        if settings.api_mode == "batch":
            raise RecipeError(
                "api_mode: batch cannot be used here: no batch API gives the log-probabilities of prompts. Remove it."
            )
        return cls(**cls.fields_of(settings))

    @property
    def sampling_params(self) -> Mapping[str, Any]:
        """One token, which is not read. Some versions of vLLM refuse 0, and for llama-cpp-python 0 means no limit."""
        return {"max_tokens": 1, "temperature": 0}

    def create(self, max_concurrency: int) -> ChatBackend:
        """Make the client.

        :param max_concurrency: not needed here, connections are opened as required.
        :raises LLMUnavailableError: if there is no key, and no server that needs none.
        """
        # A response is as long as its prompt.
        return PromptLogprobsClient(self.connection({}), self)


class PromptLogprobsClient:
    """Asks one model of one server; failed calls become a `CallFailedError`.

    :param connection: to the server.
    :param spec: what to ask.
    """

    def __init__(self, connection: Connection, spec: PromptLogprobsFactory) -> None:
        self._connection = connection
        self._spec = spec

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Ask for the log-probabilities of one prompt.

        :param messages: two turns: a text, and the text after it whose loss is wanted. Their contents are the prompt,
            which is sent without roles and without a chat template.
        :param sampling_params: fields of the request body.
        :param schema: not used.
        :raises CallFailedError: if there is no response.
        :raises LLMUnavailableError: if the first responses show that the server cannot return what is needed.
        """
        before, behind = (turn["content"] for turn in messages)
        body = {"model": self._spec.model, "prompt": before + behind, **sampling_params}
        modes, tried = self._spec.modes, dict[str, str]()

        async def send(form: _Form) -> tuple[object, Listed, _Form]:
            try:
                payload = await self._connection.post(self._spec.api_endpoint, {**body, **form.fields})
                listed = form.read(payload)
                if len(listed) <= form.echoes * _written(payload) and _is_answer(payload):
                    raise IgnoredModeError("it answers without them")
            except CallFailedError as failure:
                tried[form.name] = failure.detail
                raise
            return payload, listed, form

        try:
            payload, listed, form = await modes.send(send, _FORMS)
        except CallFailedError as failure:
            if failure.kind is not FailureKind.BAD_REQUEST or not modes.refused(failure):
                raise
            if modes.found:
                if not isinstance(failure, IgnoredModeError):
                    raise
                return Completion(text="", problem=FailureReason.NO_LOGPROBS)
        else:
            return self._completion(payload, listed, form, before, behind)
        # Outside the handler, so that the traceback does not show the original exception.
        raise LLMUnavailableError(without_prompt_logprobs(self._spec.identity(), tried))

    def _completion(self, payload: object, listed: Listed, form: _Form, before: str, behind: str) -> Completion:
        completion = self._connection.shown(read_completion(payload, "choices.0.text"))
        written = _written(payload)
        # One token was requested, so a length limit or a blank token says nothing.
        completion = replace(completion, text="", problem=None, completion_tokens=written)
        if completion.finish_reason == "content_filter":
            return replace(completion, problem=FailureReason.REFUSED)
        if not listed:
            return replace(completion, problem=FailureReason.NO_CHOICES)
        tokens = [token if isinstance(token, str) else None for token, _ in listed]
        logprobs = [_number(number) for _, number in listed]
        if form.echoes:
            of_prompt = len(tokens) - written
            if written and len(tokens) == completion.prompt_tokens:
                self._refuse_shifted(tokens, of_prompt, before + behind)
            if not written and of_prompt == completion.prompt_tokens:
                # Without a token of the completion, a shift cannot be seen.
                return replace(completion, problem=FailureReason.NO_LOGPROBS)
            tokens, logprobs = tokens[:of_prompt], logprobs[:of_prompt]
        self._refuse_without_first(tokens, logprobs, before, behind)
        return replace(completion, text=tokens_as_text(tokens, logprobs))

    def _refuse_shifted(self, tokens: Tokens, of_prompt: int, prompt: str) -> None:
        """Stop if the token that should belong to the completion is the last token of the prompt.

        The number of tokens is that of the prompt, so either BOS or the completion is left out.
        """
        if not spells(tokens[:of_prompt], prompt) and spells(tokens, prompt):
            raise LLMUnavailableError(shifted_logprobs(self._spec.identity()))

    def _refuse_without_first(self, tokens: Tokens, logprobs: Sequence[float | None], before: str, behind: str) -> None:
        """Stop if the first text that stands alone has no loss for its first token, because none will have one."""
        if _FIRST in self._spec.seen:
            return
        first = first_token_behind(tokens, before, behind)
        if first is None or any(number is not None for number in logprobs[:first]):
            return
        if logprobs[first] is None:
            raise LLMUnavailableError(without_first_loss(self._spec.identity()))
        self._spec.seen.add(_FIRST)

    async def models(self) -> tuple[str, ...]:
        """Return the names of the models that the server lists."""
        return await self._connection.models(self._spec.api_endpoint)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connection.aclose()


def _written(payload: object) -> int:
    """Return the number of tokens of a completion; one was requested."""
    counted = read_completion(payload, "choices.0.text").completion_tokens
    return 1 if counted is None else counted


def _is_answer(payload: object) -> bool:
    choice = value_at(payload, "choices.0")
    return isinstance(choice, Mapping) and choice.get("finish_reason") != "content_filter"


def _number(value: object) -> float | None:
    # A JSON integer may be too large for a float.
    is_one = isinstance(value, (int, float)) and not isinstance(value, bool) and abs(value) < _LARGEST
    return float(value) if is_one else None  # type: ignore[arg-type]
