"""What the engine asks of whatever answers: one coroutine, and a description that names the answers in the journal."""

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
"""Name in a recipe to `module:Class` of a `BackendFactory`; a new back-end is one file and one line here."""


@dataclass(frozen=True)
class Completion:
    """One response of a model.

    :param text: what it wrote; may be empty.
    :param finish_reason: why it stopped writing, in OpenAI's terms; None if unknown.
    :param refusal: the refusal text; None when it did not refuse.
    :param prompt_tokens: as the server counts; None when it does not say.
    :param completion_tokens: as the server counts; None when it does not say.
    :param cached_tokens: those of the prompt that the server had in its cache; None when it does not say.
    :param problem: why the text is not an answer; None if it is.
    :param model: the model that the server names; None if it names none.
    :param only_reasoning: whether the model wrote its reasoning but no answer.
    :param beginning: the beginning of the text with secrets masked; None if the text holds none.
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

    Where there is a method `models()`, the names it returns when awaited help somebody whose model is not there; a
    method `aclose()` is awaited at the end of a run.
    """

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Ask for one answer.

        :param messages: chat turns with `role` and `content`.
        :param sampling_params: how the answer is drawn, in OpenAI's words.
        :param schema: JSON schema of the answer, a wish; None when any text will do.
        :raises CallFailedError: when there is no response. Any other exception stops the run.
        :raises LLMUnavailableError: when no response can ever be used: nothing more is sent.
        """
        ...


class BackendFactory(Protocol):
    """Makes a backend when and where the run starts. It is sent between processes, so it holds only plain data.

    A backend that batches waiting conversations has an attribute `waiting_per_place`: the number of waiting
    conversations per place in a batch. If there is a method `check()`, it is called before any work and raises
    `LLMUnavailableError` if the backend cannot be made.
    """

    environment: tuple[str, ...]
    """Environment variables that say who asks and whom: on Ray, those of the driver hold for its tasks too."""

    @classmethod
    def from_settings(cls, settings: LLMSettings, accelerator: str | None = None) -> BackendFactory:
        """Check the parameters of a recipe that say what answers, and make the factory they describe.

        :param settings: with the sampling parameters that will be used.
        :param accelerator: `cpu` or `cuda` for a model of this machine; None: a GPU where there is one.
        :raises RecipeError: one sentence with parameter, what is allowed, and what was given.
        """
        ...

    @property
    def sampling_params(self) -> Mapping[str, Any]:
        """How answers are drawn, in OpenAI's words."""
        ...

    def identity(self) -> Mapping[str, Any]:
        """Return all that changes the answers apart from messages and sampling parameters; `model` among it."""
        ...

    def create(self, max_concurrency: int) -> ChatBackend:
        """Make the backend; called inside the running event loop, and only when a call has to be made.

        :param max_concurrency: how many calls will be in flight at most.
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
        """How requests are written now; it changes when a server refuses it."""
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
        :param schema: JSON schema of the answer, a wish; None when any text will do.
        """
        ...

    def read(self, payload: object) -> Completion:
        """Read the body of a response.

        :param payload: decoded JSON of any shape.
        :raises LLMUnavailableError: when it shows that no response can ever be used.
        """
        ...

    def accepted(self, form: Any) -> None:
        """Note that the server answers requests in a form.

        :param form: from `form`, when the requests were written.
        """
        ...

    def rewrites(self, failure: CallFailedError, sent: Mapping[str, Any], form: Any) -> bool:
        """Return whether a server refuses a form, and requests are written otherwise from now on.

        :param failure: of a request.
        :param sent: its sampling parameters.
        :param form: from `form`, when it was written.
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
