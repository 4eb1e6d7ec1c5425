"""The engine's interface to back-ends: one coroutine, and a description that identifies the answers in the journal."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from importlib import import_module
from typing import TYPE_CHECKING, Any, Protocol

from mergeit_ops.core.merging.replies import FailureReason

if TYPE_CHECKING:
    from mergeit_ops.llm.failures import CallFailedError
    from mergeit_ops.llm.settings import LLMSettings

__all__ = [
    "BACKENDS",
    "BackendFactory",
    "BatchFactory",
    "ChatBackend",
    "Completion",
    "find_backend",
    "variables_of_backends",
]

BACKENDS: Mapping[str, str] = {
    "openai": "mergeit_ops.llm.client:OpenAICompatibleFactory",
    "huggingface": "mergeit_ops.llm.local:LocalModelFactory",
    "recorded": "mergeit_ops.llm.recorded:RecordedFactory",
}
"""Maps the name in a recipe to the `module:Class` of a `BackendFactory`. To add a back-end, add one file and one line
here."""


@dataclass(frozen=True)
class Completion:
    """One response of a model.

    :param text: text of the model; may be empty.
    :param finish_reason: why the model stopped, in OpenAI's terms; None if unknown.
    :param refusal: the refusal text; None if it did not refuse.
    :param prompt_tokens: number by the server; None if it does not report it.
    :param completion_tokens: number by the server; None if it does not report it.
    :param cached_tokens: prompt tokens that the server had in its cache; None if it does not report them.
    :param problem: why the text is not an answer; None if it is.
    :param model: the model that the server names; None if it names none.
    :param only_reasoning: whether the model wrote reasoning but no answer.
    :param beginning: the beginning of the text with secrets masked; None if the text contains no secrets.
    """

    text: str
    finish_reason: str | None = None
    refusal: str | None = None
    prompt_tokens: int | None = None
    completion_tokens: int | None = None
    cached_tokens: int | None = None
    problem: FailureReason | None = None
    model: str | None = None
    only_reasoning: bool = False
    beginning: str | None = None


class ChatBackend(Protocol):
    """Answers conversations.

    If there is a method `models()`, its names are shown to a user whose model does not exist. If there is a method
    `aclose()`, it is awaited at the end of a run.
    """

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Ask for one answer.

        :param messages: chat turns with `role` and `content`.
        :param sampling_params: how to draw the answer, in OpenAI's terms.
        :param schema: desired JSON schema of the answer; None for any text.
        :raises CallFailedError: if there is no response. Any other exception stops the run.
        :raises LLMUnavailableError: if no response can ever be used; nothing more is sent then.
        """
        ...


class BackendFactory(Protocol):
    """Makes a backend when and where a run starts. It holds only plain data, because it is sent between processes.

    A backend that batches waiting conversations has an attribute `waiting_per_place`: the number of waiting
    conversations per place in a batch. If there is a method `check()`, it is called before any work and raises
    `LLMUnavailableError` if the backend cannot be made.
    """

    environment: tuple[str, ...]
    """Environment variables for server and key. On Ray, the driver's values apply to its tasks too."""

    @classmethod
    def from_settings(cls, settings: LLMSettings, accelerator: str | None = None) -> BackendFactory:
        """Check the parameters of a recipe about the model, and make their factory.

        :param settings: settings with the sampling parameters that will be used.
        :param accelerator: `cpu` or `cuda` for a local model; None: a GPU if there is one.
        :raises RecipeError: if a parameter cannot work. The sentence names it, what is allowed, and what was given.
        """
        ...

    @property
    def sampling_params(self) -> Mapping[str, Any]:
        """How answers are drawn, in OpenAI's terms."""
        ...

    def identity(self) -> Mapping[str, Any]:
        """Return everything except messages and sampling parameters that affects the answers, including `model`."""
        ...

    def create(self, max_concurrency: int) -> ChatBackend:
        """Make the backend. Called inside the running event loop, and only if a call has to be made.

        :param max_concurrency: most calls in flight.
        """
        ...


class BatchFactory(BackendFactory, Protocol):
    """A backend whose requests can be written to files, and whose responses can be read from them."""

    api_endpoint: str
    response_path: str
    model_params: Mapping[str, Any]
    timeout_s: float

    @property
    def form(self) -> Any:
        """The current form of requests; it changes if a server refuses it."""
        ...

    def line(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the body of a request.

        :param messages: chat turns with `role` and `content`.
        :param sampling_params: how the answer is drawn.
        :param schema: desired JSON schema of the answer; None for any text.
        """
        ...

    def read(self, payload: object) -> Completion:
        """Read the body of a response.

        :param payload: decoded JSON of any shape.
        :raises LLMUnavailableError: if it shows that no response can ever be used.
        """
        ...

    def accepted(self, form: Any) -> None:
        """Record that the server answers requests in a form.

        :param form: value of `form` when the requests were written.
        """
        ...

    def rewrites(self, failure: CallFailedError, sent: Mapping[str, Any], form: Any) -> bool:
        """Return whether a server refuses a form. From then on requests have another form.

        :param failure: of a request.
        :param sent: its sampling parameters.
        :param form: value of `form` when the request was written.
        """
        ...


def find_backend(name: str) -> type[BackendFactory]:
    """Return the factory class of a back-end.

    :param name: one of `BACKENDS`.
    """
    module, _, class_name = BACKENDS[name].partition(":")
    found: type[BackendFactory] = getattr(import_module(module), class_name)
    return found


def variables_of_backends() -> tuple[str, ...]:
    """Return the environment variables of all back-ends, each once."""
    return tuple(dict.fromkeys(name for backend in BACKENDS for name in find_backend(backend).environment))
