"""Leaving out pairs whose merge is unlikely to be accepted: a set in which every second pair is hopeless."""

from __future__ import annotations

import json
from collections import Counter
from pathlib import Path
from typing import Any

import pytest
from data_juicer.core.data import NestedDataset

from mergeit_ops.core.columns import META
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.llm.journal_contents import by_model
from mergeit_ops.ops import LLMPairMergerMapper, TopicClusterGrouper
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import verify
from tests.llm_server import FakeLLMServer, error, merge_answer
from tests.planted_pairs import planted_rows, short_answers_only
from tests.recipe_runs import make_dataset, read_jsonl, run_recipe, work_dir_of, write_jsonl, write_recipe

PAIRS = 120


@pytest.fixture(scope="module")
def topics() -> NestedDataset:
    return TopicClusterGrouper(num_clusters=4).run(make_dataset(planted_rows(PAIRS)))


@pytest.fixture
def server():
    with FakeLLMServer(short_answers_only) as running:
        yield running


def settings(server: FakeLLMServer, **parameters: Any) -> dict[str, Any]:
    return {
        "model_params": {"base_url": server.base_url},
        "similarity_threshold": 0.5,
        "similarity_threshold_scale": "raw",
        "max_failure_ratio": 1.0,
        "try_num": 1,
        **parameters,
    }


def merged(topics: NestedDataset, server: FakeLLMServer, **parameters: Any) -> list[dict]:
    return list(LLMPairMergerMapper(**settings(server, **parameters)).run(topics))


def errors(rows: list[dict]) -> Counter:
    return Counter(row[META]["merge_error"] for row in rows if row[META]["merge_error"])


def asked(server: FakeLLMServer) -> Counter:
    return Counter(body["messages"][-1]["content"] for body in server.requests)


def test_hopeless_pairs_are_left_out_and_all_others_are_as_without(topics, server):
    without = merged(topics, server, cache_path=None)
    prompts = {json.dumps(body["messages"]) for body in server.requests}
    server.requests.clear()
    rows = merged(topics, server, cache_path=None, min_acceptance=0.5)
    left_out = errors(rows)["unlikely"] // 2
    assert left_out >= 30
    assert set(asked(server).values()) == {1}
    assert len(server.requests) == len(prompts) - left_out
    assert {json.dumps(body["messages"]) for body in server.requests} < prompts
    # Row by row: only the reason of pairs that were left out differs.
    assert len(rows) == len(without)
    for row, other in zip(rows, without, strict=True):
        if row[META]["merge_error"] == "unlikely":
            assert other[META]["merge_error"] == "unparsable"
            other[META]["merge_error"] = "unlikely"
        assert row == other


def test_off_by_default_and_at_zero_every_pair_is_asked_for(topics, server):
    without = merged(topics, server, cache_path=None)
    assert errors(without).keys() == {"unparsable"}
    assert merged(topics, server, cache_path=None, min_acceptance=0.0) == without


def test_a_budget_buys_more_merges_best_first(topics, server):
    limit = {"max_total_tokens": 70_000, "cache_path": None, "max_concurrency": 1}
    in_order = merged(topics, server, **limit)
    best_first = merged(topics, server, min_acceptance=0.0, **limit)
    made = [sum(row[META]["merge_status"] == "merged" for row in rows) for rows in (in_order, best_first)]
    assert made[1] > 1.3 * made[0]


def test_a_model_that_merges_nothing_costs_the_trial_only(topics):
    with FakeLLMServer(lambda body: "I am lost.") as server:
        rows = merged(topics, server, min_acceptance=0.1)
        assert len(server.requests) == 40
    assert errors(rows) == {"unparsable": 80, "unlikely": 2 * PAIRS - 80 - 2}


def test_few_pairs_are_all_asked_for(server):
    few = TopicClusterGrouper(num_clusters=1).run(make_dataset(planted_rows(20)))
    assert errors(merged(few, server, min_acceptance=1.0))["unlikely"] == 0


@pytest.mark.parametrize("answered", [10, 60], ids=["in the trial", "after it"])
def test_a_run_that_was_stopped_decides_as_one_that_was_not_and_pays_no_answer_twice(
    topics, server, tmp_path, answered
):
    whole = merged(topics, server, min_acceptance=0.5, cache_path=str(tmp_path / "whole.db"))
    journal = {"cache_path": str(tmp_path / "stopped.db"), "max_concurrency": 4, "min_acceptance": 0.5}
    server.requests.clear()

    def expires(body: dict) -> Any:
        late = len(server.requests) > answered
        return error(401, "The key has expired.") if late else short_answers_only(body)

    server.answer = expires
    with pytest.raises(LLMUnavailableError):
        merged(topics, server, **journal)
    before = [body["messages"][-1]["content"] for body in server.requests[:answered]]
    server.requests.clear()
    server.answer = short_answers_only
    assert merged(topics, server, **journal) == whole
    paid = {text for text in before if "nothing" not in short_answers_only({"messages": [{"content": text}]})}
    assert paid
    assert not paid & set(asked(server))


def test_verdicts_are_kept_so_a_model_that_answers_otherwise_later_changes_no_decision(topics, server, tmp_path):
    journal = {"cache_path": str(tmp_path / "answers.db"), "min_acceptance": 0.5}
    first = merged(topics, server, **journal)
    assert [one.answers for one in by_model(tmp_path / "answers.db") if str(one.model).startswith("verdicts")] == [1]
    server.answer = merge_answer
    again = merged(topics, server, **journal)
    assert errors(again) == {"unlikely": errors(first)["unlikely"]}
    # Another rule of the merger has verdicts of its own.
    assert errors(merged(topics, server, min_parent_kept=0.1, **journal)) == {}


def test_pairs_that_are_paid_for_already_are_never_left_out(topics, server, tmp_path):
    journal = {"cache_path": str(tmp_path / "answers.db")}
    server.answer = merge_answer
    every = merged(topics, server, **journal)
    server.answer = lambda body: "I am lost."
    server.requests.clear()
    assert merged(topics, server, min_acceptance=1.0, **journal) == every
    assert server.requests == []


def recipe_of(folder: Path, server: FakeLLMServer, gate: dict[str, Any], **parameters: Any) -> Path:
    process = [
        {"topic_cluster_grouper": {"num_clusters": 4}},
        {"llm_pair_merger_mapper": settings(server, min_acceptance=0.5, **parameters)},
        {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", **gate}},
    ]
    return write_recipe(folder, process, write_jsonl(folder / "in.jsonl", planted_rows(PAIRS)))


def test_the_gate_of_the_recipe_says_what_is_accepted_and_every_row_is_accounted_for(tmp_path, server):
    """No merge passes the gate, so all pairs after the trial are hopeless, those that a model merges well too."""
    export = run_recipe(recipe_of(tmp_path, server, {"gamma": 99.0}))
    assert len(server.requests) == 40
    rows = read_jsonl(export)
    assert Counter(row[META]["merge_status"] for row in rows).keys() == {"original", "restored"}
    assert len(rows) == 2 * PAIRS
    merger = read_manifests(work_dir_of(export))[1]
    assert merger["foresight"]["tried"] == 40
    assert merger["foresight"]["accepted"] == 0
    assert merger["figures"]["failed"]["unlikely"] == merger["figures"]["pairs"] - 40 == merger["foresight"]["unlikely"]
    found = verify(read_run(export), read_input(tmp_path / "in.jsonl"))
    assert found.holds


def test_the_run_ends_with_what_an_accepted_merge_has_cost_trial_included(tmp_path, server, lines):
    export = run_recipe(
        recipe_of(tmp_path, server, {"gamma": 0.5}, price_per_1k_prompt=1.0, price_per_1k_completion=2.0)
    )
    merger, gate = (record["figures"] for record in read_manifests(work_dir_of(export))[1:])
    spent = merger["prompt_tokens"] + merger["completion_tokens"]
    assert merger["calls"] == len(server.requests)
    (*_, summary) = [line for line in lines if line.startswith("MergeIT summary")]
    assert f"tokens per accepted {spent / gate['accepted']:.1f}; cost per accepted " in summary
    money = float(summary.partition("cost per accepted ")[2].partition(";")[0])
    assert money == pytest.approx(merger["cost"] / gate["accepted"], rel=1e-3)


def test_a_gate_that_asks_a_model_is_refused_before_any_row_is_read(tmp_path, server):
    judge = {"scorer": "llm_judge", "scorer_params": {"model_params": {"base_url": server.base_url}}}
    with pytest.raises(RecipeError, match="quality_gate_filter has the scorer 'llm_judge', which asks a language mod"):
        run_recipe(recipe_of(tmp_path, server, judge))
    assert server.requests == []


@pytest.mark.parametrize("strategy", ["concat", "none"])
def test_a_strategy_that_asks_no_model_is_refused(strategy):
    with pytest.raises(RecipeError, match="min_acceptance leaves out pairs that a language model would be paid for"):
        LLMPairMergerMapper(merge_strategy=strategy, min_acceptance=0.5)


@pytest.mark.parametrize("value", [-0.1, 1.1, "half"])
def test_min_acceptance_is_a_probability(value):
    with pytest.raises(RecipeError, match="min_acceptance"):
        LLMPairMergerMapper(min_acceptance=value)
