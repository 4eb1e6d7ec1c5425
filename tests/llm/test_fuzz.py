"""Thousands of replies, most of them broken: no crash, no row lost, every failure a code of the closed list."""

from __future__ import annotations

import hashlib
import json
import random
from collections import Counter
from typing import Any

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING, META, ROW_ID
from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.llm.retry import RetryPolicy
from mergeit_ops.ops import LLMPairMergerMapper, TopicClusterGrouper
from tests.fuzzed_replies import fuzzed_reply
from tests.llm.conftest import answers_of, engine_for, merge_requests
from tests.llm_server import FakeLLMServer, Reply, merge_answer
from tests.recipe_runs import make_dataset

# A call is made twice at most, so that one prompt meets many sorts of replies, and nobody waits long. Without a cap a
# run would have no patience at all with a server that refuses its rate.
POLICY = RetryPolicy(attempts=2, base_s=0.0, cap_s=0.05, first_contact_s=0.0, first_answer_attempts=2)

ONES_OF_A_MODEL = {"api_failed", "unparsable", "refused", "truncated", "too_long", "empty", "echo", "no_choices"}


class Fuzzer:
    """Answers the same prompt, asked for the same time, with the same reply, in whatever order requests come."""

    def __init__(self, seed: int) -> None:
        self.seed = seed
        self.asked: Counter[str] = Counter()

    def __call__(self, body: dict[str, Any]) -> str | Reply:
        if not self.asked:
            self.asked["first"] += 1
            # Else a run would rightly stop at its first request.
            return merge_answer(body)
        prompt = hashlib.sha256(json.dumps(body["messages"]).encode()).hexdigest()
        self.asked[prompt] += 1
        return fuzzed_reply(random.Random(f"{self.seed}-{prompt}-{self.asked[prompt]}"), body)


def assert_is_text(*texts: str) -> None:
    for text in texts:
        assert isinstance(text, str)
        text.encode("utf-8")


def assert_are_ones_of_a_model(reasons: set[str], replies: int) -> None:
    assert reasons <= ONES_OF_A_MODEL
    # The rarest need not be among a thousand.
    assert len(reasons) >= len(ONES_OF_A_MODEL) - 2
    assert replies < 10_000 or reasons == ONES_OF_A_MODEL


AMOUNTS = [pytest.param(1_000, id="1000"), pytest.param(10_000, id="10000", marks=pytest.mark.slow)]


@pytest.mark.parametrize("replies", AMOUNTS)
def test_every_request_has_an_outcome_whatever_the_server_replies(replies):
    count = replies // 2
    with FakeLLMServer(Fuzzer(seed=1)) as server:
        engine = engine_for(server, POLICY, max_failure_ratio=1.0, try_num=3, timeout_s=5)
        outcomes, usage = answers_of(engine, merge_requests(count))
        assert len(server.requests) >= replies
    assert sorted(outcomes) == list(range(count))
    for outcome in outcomes.values():
        assert (outcome.error is None) == bool(outcome.answers)
        assert outcome.error is None or isinstance(outcome.error, FailureReason)
        for answer in outcome.answers:
            assert answer.instruction.strip()
            assert answer.output.strip()
            assert_is_text(answer.instruction, answer.input, answer.output)
    failed = Counter(str(outcome.error) for outcome in outcomes.values() if outcome.error)
    assert usage.failures == failed
    assert usage.answered + sum(failed.values()) == usage.requests == count
    assert_are_ones_of_a_model(set(failed), replies)
    assert usage.answered > count / 4


def pairs_of_rows(count: int) -> list[dict[str, Any]]:
    """Return twice as many rows: each two that follow each other are alike, and no others."""
    vectors = np.random.default_rng(3).normal(size=(count, 48)).astype(np.float32).repeat(2, axis=0)
    texts = encode_vectors(vectors / np.linalg.norm(vectors, axis=1, keepdims=True))
    return [
        {
            "id": f"r{number}",
            "instruction": f'Say "{number}" {{in}} two\nways.',
            "input": "" if number % 6 else "[1, 2]",
            "output": f'```json\n{{"a": {number}}}\n``` and C:\\temp\\{number}',
            EMBEDDING: text,
        }
        for number, text in enumerate(texts)
    ]


@pytest.mark.parametrize("replies", AMOUNTS)
def test_every_row_leaves_the_merger_once_whatever_the_server_replies(replies):
    rows = pairs_of_rows(replies // 2)
    topics = TopicClusterGrouper(num_clusters=4).run(make_dataset(rows))
    with FakeLLMServer(Fuzzer(seed=2)) as server:
        operator = LLMPairMergerMapper(
            similarity_threshold=0.95,
            model_params={"base_url": server.base_url},
            max_failure_ratio=1.0,
            timeout_s=5,
        )
        operator._engine.policy = POLICY
        flat = operator.run(topics)
        assert len(server.requests) >= replies
    entered = [row_id for topic in topics for row_id in topic[ROW_ID]]
    brought = {row["id"]: {name: value for name, value in row.items() if name != EMBEDDING} for row in rows}
    left: list[str] = []
    reasons = set()
    for row in flat:
        meta = row[META]
        if meta["merge_status"] == "original":
            left.append(meta["row_id"])
            contents = [row]
            reasons.add(meta["merge_error"])
        else:
            left += meta["merge_parent_ids"]
            contents = [decode_row(text) for text in meta["merge_parents"]]
            assert row["instruction"].strip()
            assert row["output"].strip()
            assert_is_text(row["instruction"], row["input"], row["output"])
        for content in contents:
            assert {name: content[name] for name in brought[content["id"]]} == brought[content["id"]]
    assert sorted(left) == sorted(entered)
    assert len(set(entered)) == len(rows)
    assert_are_ones_of_a_model(reasons, replies)
    assert len(flat) < 0.9 * len(rows)
