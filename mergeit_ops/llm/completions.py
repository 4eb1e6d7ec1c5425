"""Shared base of the clients of an OpenAI-compatible server's text completions."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, ClassVar

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.client_params import check_client_params
from mergeit_ops.llm.connection import VARIABLES, Connection, check_connection, open_connection, server_url

if TYPE_CHECKING:
    from mergeit_ops.llm.settings import LLMSettings

__all__ = ["DEFAULT_COMPLETIONS_ENDPOINT", "CompletionsFactory"]

DEFAULT_COMPLETIONS_ENDPOINT = "/completions"


@dataclass(frozen=True)
class CompletionsFactory:
    """Base of the factories of these clients; see `BackendFactory`.

    :param model: the model's name on the server.
    :param api_endpoint: path below the base URL, or a whole URL.
    :param model_params: arguments of `openai.AsyncOpenAI` other than the key, e.g. `base_url`.
    :param timeout_s: seconds for one call, from sending it to the end of its answer.
    """

    model: str
    api_endpoint: str = DEFAULT_COMPLETIONS_ENDPOINT
    model_params: Mapping[str, Any] = field(default_factory=dict)
    timeout_s: float = 120.0

    environment = VARIABLES
    reads: ClassVar[str]
    """The part of a response that is read; it is part of the answers' keys in the journal."""

    @staticmethod
    def fields_of(settings: LLMSettings) -> dict[str, Any]:
        """Return the fields of this class.

        :param settings: settings of the recipe; an `api_endpoint` of None means `/completions`.
        :raises RecipeError: if a parameter cannot work. The sentence names it, what is allowed, and what was given.
        """
        endpoint, params = settings.api_endpoint or DEFAULT_COMPLETIONS_ENDPOINT, dict(settings.model_params or {})
        check_client_params(params, endpoint, {})
        if settings.api_mode == "batch" and f"/{endpoint.strip('/')}" != DEFAULT_COMPLETIONS_ENDPOINT:
            raise RecipeError(
                f"api_mode: batch needs the endpoint {DEFAULT_COMPLETIONS_ENDPOINT}, got api_endpoint {endpoint!r}: "
                "remove it, or set api_mode to online."
            )
        return {
            "model": settings.api_or_hf_model,
            "api_endpoint": endpoint,
            "model_params": params,
            "timeout_s": settings.timeout_s,
        }

    def identity(self) -> Mapping[str, Any]:
        """Return what identifies the answers: server, endpoint and model."""
        return {
            "base_url": server_url(self.model_params).rstrip("/"),
            "endpoint": self.api_endpoint.strip("/"),
            "model": self.model,
            "default_query": dict(self.model_params.get("default_query") or {}),
            "reads": self.reads,
        }

    def check(self) -> None:
        """Check whether the client can be made, before any work and without sending anything.

        :raises LLMUnavailableError: if it cannot be made. The sentence names the variable or parameter, and the remedy.
        """
        check_connection(self.model_params, self.api_endpoint)

    def connection(self, sampling_params: Mapping[str, Any]) -> Connection:
        """Open the connection.

        :param sampling_params: fields of the requests, which limit the size of a response.
        :raises LLMUnavailableError: if there is no key, and no server that needs none.
        """
        return open_connection(
            self.model_params, self.timeout_s, endpoint=self.api_endpoint, sampling_params=sampling_params
        )
