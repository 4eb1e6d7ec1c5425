from __future__ import annotations

import os
from collections.abc import Callable, Iterator
from typing import Any

import pytest

from mergeit_ops.core.merging.prompts import MERGE_SCHEMA, build_messages
from mergeit_ops.core.merging.replies import parse_reply
from mergeit_ops.core.sample import Sample
from mergeit_ops.llm.engine import LLMEngine, build_engine
from mergeit_ops.llm.local_model import LocalModel
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest
from mergeit_ops.llm.retry import RetryPolicy
from mergeit_ops.llm.settings import LLMSettings
from mergeit_ops.llm.usage import Usage
from mergeit_ops.worker import Kept, worker
from tests import tiny_models
from tests.llm.local_models import MERGES
from tests.llm_server import FakeLLMServer

# A first call that is alone for long keeps tests from depending on how fast a busy machine refuses it.
FAST = RetryPolicy(base_s=0.001, cap_s=0.002, first_contact_s=0.001, refusal_s=1.0)


@pytest.fixture(autouse=True)
def environment(monkeypatch, tmp_path):
    """No test sees a key, a server, a proxy, a certificate or a journal of the person who runs it."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("OPENAI_", "SSL_CERT", "SSLKEYLOG")):
            monkeypatch.delenv(name)
    monkeypatch.setenv("MERGEIT_CACHE_DIR", str(tmp_path / "cache"))


def parents(number: int) -> list[Sample]:
    return [Sample(f"Explain item {number}.", "", f"Item {number} is a thing."), Sample(f"List {number}.", "", "1, 2")]


def merge_request(number: int, num_candidates: int = 1) -> LLMRequest[Sample]:
    rows = parents(number)
    return LLMRequest(number, build_messages(rows), lambda text: parse_reply(text, rows), num_candidates, MERGE_SCHEMA)


def merge_requests(count: int, num_candidates: int = 1) -> Iterator[LLMRequest[Sample]]:
    return (merge_request(number, num_candidates) for number in range(count))


def engine_for(server: FakeLLMServer | str, policy: RetryPolicy = FAST, **parameters: Any) -> LLMEngine:
    url = server if isinstance(server, str) else server.base_url
    params = {"base_url": url, **parameters.pop("model_params", {})}
    engine = build_engine(LLMSettings(**{"api_or_hf_model": "m"} | parameters, model_params=params))
    engine.policy = policy
    return engine


def answers_of(engine: LLMEngine, requests: Any) -> tuple[dict[Any, LLMOutcome[Any]], Usage]:
    outcomes: dict[Any, LLMOutcome[Any]] = {}

    def note(outcome: LLMOutcome[Any]) -> None:
        assert outcome.tag not in outcomes
        outcomes[outcome.tag] = outcome

    usage = engine.run(requests, note)
    return outcomes, usage


class ScriptedFactory:
    """A backend in the same process: a coroutine function answers."""

    def __init__(self, complete: Callable[..., Any], sampling_params: dict[str, Any] | None = None) -> None:
        self.complete = complete
        self.sampling_params = sampling_params or {}

    def identity(self) -> dict[str, Any]:
        return {"base_url": "http://scripted", "endpoint": "x", "model": "m"}

    def create(self, max_concurrency: int) -> ScriptedFactory:
        return self


def scripted_engine(complete: Callable[..., Any], policy: RetryPolicy = FAST, **settings: Any) -> LLMEngine:
    sampling_params = settings.pop("sampling_params", None)
    return LLMEngine(ScriptedFactory(complete, sampling_params), settings=LLMSettings(**settings), policy=policy)


def text_request(tag: Any, text: str = "hello", parse: Callable[[str], Any] = str, **fields: Any) -> LLMRequest[Any]:
    return LLMRequest(tag, ({"role": "user", "content": f"{tag}: {text}"},), parse, **fields)


@pytest.fixture
def nothing_loaded(monkeypatch):
    monkeypatch.setattr(worker, "models", Kept(2))


@pytest.fixture(scope="session")
def rambler_folder(tmp_path_factory) -> str:
    return tiny_models.save_rambler(tmp_path_factory.mktemp("rambler"))


@pytest.fixture(scope="session")
def parrot_folder(tmp_path_factory) -> str:
    return tiny_models.save_parrot(tmp_path_factory.mktemp("parrot"), MERGES)


@pytest.fixture
def rambler(rambler_folder) -> LocalModel:
    return LocalModel(rambler_folder, {"dtype": "float32"}, "cpu")


@pytest.fixture
def parrot(parrot_folder) -> LocalModel:
    return LocalModel(parrot_folder, {}, "cpu")
