"""Money: what a plan foretells and a run has spent, from prices per 1,000 tokens."""

from __future__ import annotations

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.prices import Prices
from mergeit_ops.llm.settings import LLMSettings
from tests.llm.conftest import answers_of, engine_for, merge_requests, text_request
from tests.llm_server import FakeLLMServer, Reply


def test_each_side_has_its_price_per_thousand_tokens():
    assert Prices(2.5, 10.0).cost(prompt_tokens=2_000, completion_tokens=300) == pytest.approx(5.0 + 3.0)


def test_prompt_tokens_from_a_cache_have_their_own_price_where_there_is_one():
    assert Prices(2.0, 10.0, 0.5).cost(3_000, 100, 2_000) == pytest.approx(2.0 + 1.0 + 1.0)
    assert Prices(2.0, 10.0).cost(3_000, 100, 2_000) == pytest.approx(6.0 + 1.0)
    assert Prices(2.0, 10.0, 0.5).times(0.5) == Prices(1.0, 5.0, 0.25)


def test_what_a_server_had_in_its_cache_is_counted_and_priced():
    prices = {"price_per_1k_prompt": 1.0, "price_per_1k_completion": 100.0, "price_per_1k_cached_prompt": 0.25}
    with FakeLLMServer(lambda _: Reply(text="yes", usage=(2_000, 30), cached=1_600)) as server:
        engine = engine_for(server, **prices)
        answers_of(engine, [text_request(number) for number in range(3)])
    figures = engine.figures()
    assert figures["cached_prompt_tokens"] == 4_800
    assert figures["cost"] == pytest.approx(3 * (0.4 + 1.6 * 0.25 + 3.0))


def test_unknown_prices_are_no_prices_and_free_ones_are():
    assert LLMSettings().prices is None
    assert LLMSettings(price_per_1k_prompt=0, price_per_1k_completion=0).prices == Prices(0.0, 0.0)


@pytest.mark.parametrize(
    ("prompt", "completion", "sentence"),
    [
        (1.0, None, "price_per_1k_prompt needs price_per_1k_completion beside it"),
        (None, 1.0, "price_per_1k_completion needs price_per_1k_prompt beside it"),
        (None, None, "price_per_1k_cached_prompt needs price_per_1k_prompt and price_per_1k_completion too"),
        (-1, 1.0, "price_per_1k_prompt must be a number of at least 0 or null, got -1"),
        (1, "cheap", "price_per_1k_completion must be a number of at least 0 or null, got 'cheap'"),
    ],
)
def test_half_a_price_and_no_number_are_refused(prompt, completion, sentence):
    with pytest.raises(RecipeError, match=sentence):
        LLMSettings(price_per_1k_prompt=prompt, price_per_1k_completion=completion, price_per_1k_cached_prompt=0.1)


def test_a_plan_and_a_run_tell_their_cost_and_answers_from_the_journal_cost_nothing():
    prices = {"price_per_1k_prompt": 1.0, "price_per_1k_completion": 100.0}
    with FakeLLMServer(lambda _: Reply(text="yes", usage=(2_000, 30))) as server:
        engine = engine_for(server, **prices)
        requests = [text_request(number, completion_tokens=50) for number in range(3)]
        plan = engine.plan(requests)
        assert plan["cost"] == pytest.approx((plan["prompt_tokens"] + 100 * 3 * 50) / 1000)
        answers_of(engine, requests)
        assert engine.figures()["cost"] == pytest.approx(3 * (2_000 * 1.0 + 30 * 100.0) / 1000)
        again = engine_for(server, **prices)
        assert again.plan(requests)["cost"] == 0
        answers_of(again, requests)
        assert again.figures()["cost"] == 0


def test_without_prices_nothing_is_said_of_cost():
    with FakeLLMServer() as server:
        engine = engine_for(server)
        assert "cost" not in engine.plan(merge_requests(1))
        answers_of(engine, merge_requests(1))
    assert "cost" not in engine.figures()
