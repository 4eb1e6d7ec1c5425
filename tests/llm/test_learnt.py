"""What one engine has learnt of its server and another begins with, as the tasks of a run on Ray do."""

from __future__ import annotations

import pickle
import time
from typing import Any

import pytest

from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.engine import LLMEngine
from mergeit_ops.llm.learnt import Learnt
from mergeit_ops.llm.retry import RetryPolicy
from tests.llm.conftest import FAST, answers_of, engine_for, merge_request
from tests.llm_server import FakeLLMServer, Reply, error, merge_answer


class Blocks:
    """A driver: each block has an engine of its own."""

    def __init__(self, engine: LLMEngine) -> None:
        self.shipped = pickle.dumps(engine)
        self.known = Learnt()
        self.requests = 0

    def block(self, count: int = 5) -> dict[Any, Any]:
        engine = pickle.loads(self.shipped)
        pickle.loads(pickle.dumps(self.known)).tell(engine)
        first, self.requests = self.requests, self.requests + count
        try:
            return answers_of(engine, map(merge_request, range(first, self.requests)))[0]
        finally:
            self.known.add(pickle.loads(pickle.dumps(Learnt.by(engine))))


@pytest.mark.parametrize("trouble", [error(503, "restarting"), Reply(drop=True)])
def test_a_server_that_has_answered_is_waited_for_in_the_next_block(trouble):
    began = None

    def answer(body: dict[str, Any]) -> Any:
        return trouble if began is not None and time.monotonic() - began < 1.5 else merge_answer(body)

    with FakeLLMServer(answer) as server:
        policy = RetryPolicy(attempts=30, base_s=0.2, cap_s=0.3, first_contact_s=0.001)
        blocks = Blocks(engine_for(server, policy, max_concurrency=4))
        blocks.block()
        began = time.monotonic()
        assert all(outcome.error is None for outcome in blocks.block().values())


@pytest.mark.parametrize("refusal", [error(401), error(404, "no model")])
def test_a_request_refused_at_the_start_of_a_block_is_one_that_failed(refusal):
    refused = iter([refusal])
    answered = 0

    def answer(body: dict[str, Any]) -> Any:
        nonlocal answered
        answered += 1
        return merge_answer(body) if answered <= 5 else next(refused, merge_answer(body))

    with FakeLLMServer(answer) as server:
        blocks = Blocks(engine_for(server, max_concurrency=4))
        blocks.block()
        outcomes = blocks.block()
    assert [outcome.error is None for outcome in outcomes.values()].count(False) == 1


def test_refusals_in_a_row_count_over_blocks_until_an_answer_comes():
    good = True

    def answer(body: dict[str, Any]) -> Any:
        return merge_answer(body) if good else error(402, "no credit")

    with FakeLLMServer(answer) as server:
        blocks = Blocks(engine_for(server, max_concurrency=1, max_failure_ratio=1.0))
        for ended in (False, False, True, False, False):
            good = True if ended else len(server.requests) == 0
            blocks.block(1)
        good = False
        with pytest.raises(LLMUnavailableError, match="no credit"):
            blocks.block(1)


def test_json_mode_and_dropped_parameters_are_found_out_once():
    def answer(body: dict[str, Any]) -> Any:
        if "response_format" in body:
            return error(400, "response_format is not supported")
        if "temperature" in body:
            return error(400, "temperature is not supported", param="temperature")
        return merge_answer(body)

    with FakeLLMServer(answer) as server:
        blocks = Blocks(engine_for(server, FAST, max_concurrency=1))
        blocks.block()
        asked = len(server.requests)
        assert asked > 5
        blocks.block()
        assert len(server.requests) == asked + 5
    assert blocks.known.dropped
