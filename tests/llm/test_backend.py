"""Back-ends by name: which one a recipe selects, and what a new one takes."""

from __future__ import annotations

import os

import pytest

from mergeit_ops.distributed.environment import DriverEnvironment
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm import backend
from mergeit_ops.llm.backend import BACKENDS, find_backend, variables_of_backends
from mergeit_ops.llm.client import OpenAICompatibleFactory
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.local import LocalModelFactory
from mergeit_ops.llm.settings import LLMSettings
from tests.llm.conftest import ScriptedFactory, answers_of, text_request


class EchoFactory(ScriptedFactory):
    environment = ("ECHO_KEY",)

    @classmethod
    def from_settings(cls, settings, accelerator=None):
        async def complete(messages, sampling_params, schema=None):
            return backend.Completion(messages[-1]["content"])

        return cls(complete, settings.sampling_params)


@pytest.mark.parametrize(
    ("parameters", "factory"),
    [
        ({}, OpenAICompatibleFactory),
        ({"is_hf_model": True}, LocalModelFactory),
        ({"backend": "openai"}, OpenAICompatibleFactory),
        ({"backend": "huggingface"}, LocalModelFactory),
        ({"backend": "huggingface", "is_hf_model": True}, LocalModelFactory),
    ],
)
def test_a_recipe_selects_what_answers(parameters, factory):
    assert type(build_engine(LLMSettings(**parameters)).backend_factory) is factory


def test_two_selections_that_contradict_are_refused():
    with pytest.raises(RecipeError, match="is_hf_model is true and backend is 'openai'"):
        LLMSettings(is_hf_model=True, backend="openai")
    allowed = "'openai', 'huggingface', 'recorded' or null"
    with pytest.raises(RecipeError, match=f"backend must be one of {allowed}, got 'vllm'"):
        LLMSettings(backend="vllm")


def test_every_back_end_says_which_variables_it_reads():
    assert set(variables_of_backends()) == {name for each in BACKENDS for name in find_backend(each).environment}
    assert {"OPENAI_API_KEY", "OPENAI_BASE_URL", "OPENAI_ORG_ID", "HF_TOKEN"} <= set(variables_of_backends())


def test_a_new_back_end_is_one_line(monkeypatch):
    """It answers, and the workers of a cluster get its variables."""
    monkeypatch.setitem(BACKENDS, "echo", f"{__name__}:EchoFactory")
    monkeypatch.setenv("ECHO_KEY", "quiet-harbour")
    outcomes, _ = answers_of(build_engine(LLMSettings(backend="echo")), [text_request(1, "hello")])
    assert outcomes[1].answers == ("1: hello",)
    taken = DriverEnvironment()
    monkeypatch.delenv("ECHO_KEY")
    taken.apply()
    assert os.environ.pop("ECHO_KEY") == "quiet-harbour"
