"""Any OpenAI-compatible server as a backend."""

from __future__ import annotations

import json
import re
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.backend import ChatBackend, Completion
from mergeit_ops.llm.client_params import check_client_params
from mergeit_ops.llm.connection import VARIABLES, Connection, check_connection, open_connection, server_url
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.modes import Modes
from mergeit_ops.llm.responses import read_completion
from mergeit_ops.llm.servers import CAP_FIELDS, response_formats

if TYPE_CHECKING:
    from mergeit_ops.llm.settings import LLMSettings

__all__ = [
    "DEFAULT_ENDPOINT",
    "DEFAULT_RESPONSE_PATH",
    "OpenAICompatibleClient",
    "OpenAICompatibleFactory",
]

DEFAULT_ENDPOINT = "/chat/completions"
DEFAULT_RESPONSE_PATH = "choices.0.message.content"

_PATH = re.compile(r"[^.\s]+(\.[^.\s]+)*")
_FORMAT = ("response_format",)


@dataclass(frozen=True)
class OpenAICompatibleFactory:
    """Makes clients for one model of one server.

    :param model: the model's name on the server.
    :param api_endpoint: path below the base URL, or a whole URL.
    :param response_path: path of the text in the response.
    :param model_params: arguments of `openai.AsyncOpenAI` other than the key, e.g. `base_url`.
    :param sampling_params: fields of the request body, e.g. `temperature`; `extra_body` is merged into it.
    :param timeout_s: seconds for one call, from sending it to the end of its answer.
    """

    model: str
    api_endpoint: str = DEFAULT_ENDPOINT
    response_path: str = DEFAULT_RESPONSE_PATH
    model_params: Mapping[str, Any] = field(default_factory=dict)
    sampling_params: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 120.0
    modes: Modes = field(default_factory=lambda: Modes(_FORMAT), compare=False, repr=False)
    """What is known about the server, kept from client to client."""
    renamed: set[str] = field(default_factory=set, compare=False, repr=False)
    """Fields that the server knows by another name."""

    environment = VARIABLES

    @classmethod
    def from_settings(cls, settings: LLMSettings, accelerator: str | None = None) -> OpenAICompatibleFactory:
        """See `BackendFactory`."""
        endpoint, path = settings.api_endpoint or DEFAULT_ENDPOINT, settings.response_path or DEFAULT_RESPONSE_PATH
        params, sampling = dict(settings.model_params or {}), dict(settings.sampling_params or {})
        check_client_params(params, endpoint, sampling)
        if settings.api_mode == "batch" and f"/{endpoint.strip('/')}" != DEFAULT_ENDPOINT:
            raise RecipeError(
                f"api_mode: batch needs the endpoint {DEFAULT_ENDPOINT}, got api_endpoint {endpoint!r}: remove it, or "
                "set api_mode to online."
            )
        try:
            json.dumps(sampling, allow_nan=False)
        except (TypeError, ValueError, RecursionError) as error:
            raise RecipeError(f"sampling_params must be plain JSON values: {error}.") from None
        if not _PATH.fullmatch(path):
            raise RecipeError(f"response_path must be keys and positions joined by dots, got {path!r}.")
        return cls(settings.api_or_hf_model, endpoint, path, params, sampling, settings.timeout_s)

    def identity(self) -> Mapping[str, Any]:
        """Return what identifies the answers: server, endpoint, model, and the path of the text."""
        return {
            "base_url": server_url(self.model_params).rstrip("/"),
            "endpoint": self.api_endpoint.strip("/"),
            "model": self.model,
            "response_path": self.response_path,
            "default_query": dict(self.model_params.get("default_query") or {}),
        }

    def body(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        response_format: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """Return the body of a request. Parts shared by all requests come first, so that a server can cache them.

        :param messages: chat turns with `role` and `content`.
        :param sampling_params: further fields; a `response_format` among them is sent unchanged.
        :param response_format: the format to send otherwise; None for none.
        """
        fields = {name: value for name, value in sampling_params.items() if name != "extra_body"}
        fields.update(sampling_params.get("extra_body") or {})
        body = {"model": self.model, "messages": [dict(turn) for turn in messages], **fields}
        if response_format is not None:
            body.setdefault("response_format", response_format)
        return {CAP_FIELDS[1] if name in self.renamed else name: value for name, value in body.items()}

    def read(self, payload: object) -> Completion:
        """Read the body of a response.

        :param payload: decoded JSON of any shape.
        """
        return read_completion(payload, self.response_path)

    def renames(self, failure: CallFailedError, sent: Mapping[str, Any]) -> bool:
        """Return whether a server refuses a field that has another name. From then on the other name is sent.

        :param failure: of a request.
        :param sent: its sampling parameters.
        """
        # With 413, the value is too large; the name is not unknown.
        known = failure.status == 413 or failure.field != CAP_FIELDS[0]
        was_sent = CAP_FIELDS[0] in {**sent, **(sent.get("extra_body") or {})}
        if known or not was_sent or failure.kind is not FailureKind.BAD_REQUEST:
            return False
        self.renamed.add(CAP_FIELDS[0])
        return True

    @property
    def form(self) -> tuple[int, bool]:
        """The current form of requests; see `BatchFactory`."""
        return self.modes.mode, CAP_FIELDS[0] in self.renamed

    def line(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> dict[str, Any]:
        """See `BatchFactory`."""
        form = None if schema is None else response_formats(schema)[self.modes.mode]
        return self.body(messages, sampling_params, form)

    def accepted(self, form: tuple[int, bool]) -> None:
        """See `BatchFactory`."""
        self.modes.accept(form[0])

    def rewrites(self, failure: CallFailedError, sent: Mapping[str, Any], form: tuple[int, bool]) -> bool:
        """See `BatchFactory`."""
        mode, renamed = form
        if not renamed and self.renames(failure, sent):
            return True
        return self.modes.give_up(mode, failure, len(response_formats({})))

    def check(self) -> None:
        """Check whether the client can be made, before any work and without sending anything.

        :raises LLMUnavailableError: if it cannot be made. The sentence names the variable or parameter, and the remedy.
        """
        check_connection(self.model_params, self.api_endpoint)

    def create(self, max_concurrency: int) -> ChatBackend:
        """Make the client.

        :param max_concurrency: not used, because connections are opened as needed.
        :raises LLMUnavailableError: if there is no key, and no server that needs none.
        """
        connection = open_connection(
            self.model_params,
            self.timeout_s,
            endpoint=self.api_endpoint,
            sampling_params=self.sampling_params,
        )
        return OpenAICompatibleClient(connection, self)


class OpenAICompatibleClient:
    """Asks one model of one server; every failure becomes a `CallFailedError`.

    :param connection: to the server.
    :param spec: factory that says what to ask, and how.
    """

    def __init__(self, connection: Connection, spec: OpenAICompatibleFactory) -> None:
        self._connection = connection
        self._spec = spec

    async def complete(
        self,
        messages: Sequence[Mapping[str, str]],
        sampling_params: Mapping[str, Any],
        schema: Mapping[str, Any] | None = None,
    ) -> Completion:
        """Ask for one answer.

        :param messages: chat turns with `role` and `content`.
        :param sampling_params: fields of the request body; a `response_format` among them is sent unchanged.
        :param schema: JSON schema of the answer, which the server enforces if it can.
        :raises CallFailedError: if there is no response.
        """

        async def send(form: Mapping[str, Any] | None) -> object:
            try:
                return await self._post(self._spec.body(messages, sampling_params, form))
            except CallFailedError as failure:
                if not self._spec.renames(failure, sampling_params):
                    raise
            return await self._post(self._spec.body(messages, sampling_params, form))

        if schema is None or "response_format" in self._spec.body((), sampling_params):
            payload = await send(None)
        else:
            payload = await self._spec.modes.send(send, response_formats(schema))
        return self._connection.shown(self._spec.read(payload))

    async def models(self) -> tuple[str, ...]:
        """Return the names of the models that the server lists."""
        return await self._connection.models(self._spec.api_endpoint)

    async def aclose(self) -> None:
        """Close all connections."""
        await self._connection.aclose()

    async def _post(self, body: Mapping[str, Any]) -> object:
        answer_at = self._spec.response_path.partition(".")[0]
        return await self._connection.post(self._spec.api_endpoint, body, answer_at)
