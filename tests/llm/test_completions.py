"""What clients of text completions have in common: their fields, and what names their answers."""

from __future__ import annotations

import pytest

from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.llm.completions import CompletionsFactory
from mergeit_ops.llm.settings import LLMSettings


class Echo(CompletionsFactory):
    """A client of tests."""

    reads = "echo"


def factory(**settings):
    return Echo(**Echo.fields_of(LLMSettings(api_or_hf_model="m", **settings)))


def test_the_path_is_that_of_text_completions_unless_the_recipe_says_another():
    assert factory().api_endpoint == "/completions"
    assert factory(api_endpoint="/v2/complete", timeout_s=7).api_endpoint == "/v2/complete"
    assert factory(timeout_s=7).timeout_s == 7


@pytest.mark.parametrize("endpoint", ["completions", "/completions", "/completions/"])
def test_batches_take_the_path_of_text_completions_only(endpoint):
    assert factory(api_mode="batch", api_endpoint=endpoint)
    with pytest.raises(RecipeError, match=r"api_mode: batch needs the endpoint /completions, got api_endpoint '/mine'"):
        factory(api_mode="batch", api_endpoint="/mine")


def test_answers_are_named_by_all_that_may_change_them_and_by_no_spelling():
    def identity(url="http://localhost:1/v1", **more):
        params = {"base_url": url, **more.pop("params", {})}
        return factory(model_params=params, **more).identity()

    same = identity()
    assert identity(url="http://localhost:1/v1/") == identity(api_endpoint="completions/") == same
    assert identity(timeout_s=3) == same
    others = [identity(url="http://localhost:2/v1"), identity(params={"default_query": {"v": "1"}})]
    assert all(other != same for other in others)
    assert same["reads"] == "echo"


def test_a_server_of_ones_own_needs_no_key_and_the_provider_does():
    factory(model_params={"base_url": "http://localhost:1/v1"}).check()
    with pytest.raises(LLMUnavailableError, match="OPENAI_API_KEY"):
        factory().check()


def test_parameters_that_the_client_does_not_know_are_refused():
    with pytest.raises(RecipeError, match="basurl"):
        factory(model_params={"basurl": "x"})
