"""Requests and tokens of a run on Ray: the server gets no more than the log and the recipe say."""

from __future__ import annotations

import re
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.distributed.ledger import close_ledgers
from tests.llm_server import FakeLLMServer, error, judgement, merge_answer
from tests.recipe_runs import read_export, run_recipe_on_ray, write_jsonl, write_recipe
from tests.test_whole_runs import work_dir_of
from tests.thorough import every

pytestmark = pytest.mark.usefixtures("ray_cluster")


def merging(server: FakeLLMServer, **parameters: Any) -> list[dict]:
    llm = {"api_or_hf_model": "merger", "model_params": {"base_url": server.base_url}}
    return [
        {"topic_cluster_grouper": {"num_clusters": 12}},
        {"llm_pair_merger_mapper": {"similarity_threshold": 0.3, **llm, **parameters}},
    ]


def judging(server: FakeLLMServer, scorer: str = "llm_judge", **parameters: Any) -> list[dict]:
    judge = {"api_or_hf_model": "judge", "model_params": {"base_url": server.base_url}, **parameters}
    if scorer == "cascade":
        judge = {"cheap": "tests.user_scorers:ByLength", "judge": {"scorer": "llm_judge", **judge}, "margin": 1e9}
    return [{"quality_gate_filter": {"scorer": scorer, "scorer_params": judge, "min_score": 1.0, "score_all": True}}]


def run(folder: Path, process: list[dict], rows: list[dict], **settings: Any) -> Path:
    # Small files are small blocks.
    files = folder / "in"
    files.mkdir()
    for number in range(6):
        write_jsonl(files / f"{number}.jsonl", [row | {META: {"lang": "en"}} for row in rows[number::6]])
    recipe = write_recipe(folder, process, files, **settings)
    return run_recipe_on_ray(recipe, "--export_path", str(folder / "ray" / "export"))


def test_the_server_sees_as_many_requests_as_the_recipe_says(tmp_path, embedded_rows, lines):
    with FakeLLMServer(latency_s=0.1) as server:
        run(tmp_path, merging(server, max_concurrency=3), embedded_rows)
    (found,) = [found for line in lines if (found := re.search(r"in (\d+) blocks, (\d+) at a time.*up to 3 req", line))]
    blocks, tasks = map(int, found.groups())
    assert blocks >= 4
    assert tasks == 2
    assert len(server.requests) > 10
    assert server.max_in_flight == 3


@pytest.mark.slow
def test_a_judge_on_ray_gets_as_many_requests_as_the_recipe_says(tmp_path, embedded_rows, lines):
    with FakeLLMServer(latency_s=0.1) as server:
        run(tmp_path, judging(server, max_concurrency=3), embedded_rows)
    assert len(server.requests) > 100
    assert server.max_in_flight == 3
    assert [line for line in lines if "2 tasks at a time. The server sees up to 3 requests" in line]


def test_a_block_knows_what_those_before_it_have_learnt_of_the_server(tmp_path, embedded_rows, lines):
    def answer(body: dict[str, Any]) -> Any:
        return error(400, "response_format is not supported") if "response_format" in body else merge_answer(body)

    with FakeLLMServer(answer) as server:
        run(tmp_path, merging(server, max_concurrency=1, num_proc=1), embedded_rows[:60])
    refused = ["response_format" in request for request in server.requests]
    assert any(re.search(r"in [3-9]|1\d blocks", line) for line in lines)
    # The first request of the first block spends all of them.
    assert 0 < refused.count(True) == refused.index(False)


def test_a_stopped_judge_says_that_other_tasks_may_have_more_answers(tmp_path, embedded_rows):
    def answer(body: dict[str, Any]) -> Any:
        return error(402, "no credit") if len(server.requests) > 20 else judgement(4)

    with FakeLLMServer(answer) as server:
        with pytest.raises(Exception, match=r"At least \d+ answers are in the journal"):
            run(tmp_path, judging(server, max_concurrency=2), embedded_rows[:60])
        asked = len(server.requests)
    close_ledgers()
    (record,) = read_manifests(work_dir_of(tmp_path / "ray" / "export"))
    assert record["figures"]["scoring"]["calls"] == asked


@pytest.mark.parametrize("budget", every(3, [6_000, 1, 10**9]))
def test_the_token_budget_of_a_merger_holds_for_all_blocks_together(tmp_path, embedded_rows, budget):
    with FakeLLMServer(latency_s=0.01) as server:
        export = run(tmp_path, merging(server, max_total_tokens=budget, max_failure_ratio=1.0), embedded_rows)
    assert server.tokens <= budget
    rows = read_export(export)
    reasons = {row[META]["merge_error"] for row in rows}
    assert ("budget" in reasons) == (budget < 10**9)
    (figures,) = [
        record["figures"]
        for record in read_manifests(work_dir_of(export))
        if record["operator"] == "llm_pair_merger_mapper"
    ]
    assert figures["prompt_tokens"] + figures["completion_tokens"] == server.tokens
    if budget == 6_000:
        # A further request would need more than what is left.
        assert server.tokens > budget / 2
        assert figures["merged"] + figures["failed"]["budget"] == figures["pairs"]


@pytest.mark.slow
@pytest.mark.parametrize("scorer", ["llm_judge", "cascade"])
def test_the_token_budget_of_a_judge_holds_for_all_blocks_together(tmp_path, embedded_rows, scorer):
    with FakeLLMServer(latency_s=0.01) as server:
        export = run(tmp_path, judging(server, scorer, max_total_tokens=9_000, max_failure_ratio=1.0), embedded_rows)
    assert 4_500 < server.tokens <= 9_000
    statuses = {row[STATS]["quality_status"] for row in read_export(export)}
    assert statuses == {"ok", "budget"}


@pytest.mark.slow
def test_partitions_share_the_token_budget_of_a_judge(tmp_path, embedded_rows):
    options = ["--executor_type", "ray_partitioned", "--partition.mode", "manual", "--partition.num_of_partitions", "3"]
    with FakeLLMServer() as server:
        process = judging(server, max_total_tokens=6_000, max_failure_ratio=1.0)
        recipe = write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", embedded_rows))
        run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export"), *options)
    assert 3_000 < server.tokens <= 6_000


def test_tokens_set_aside_by_a_lost_worker_are_spent_and_block_nobody():
    import asyncio

    from mergeit_ops.distributed.shared_limits import ClusterLimits, share_limits
    from mergeit_ops.llm.engine import build_engine
    from mergeit_ops.llm.settings import LLMSettings

    engine = build_engine(LLMSettings(model_params={"base_url": "http://127.0.0.1:9/v1"}, max_total_tokens=100))
    ((number, keeper),) = share_limits([engine]).keepers
    assert number == 0

    async def story() -> None:
        lost, other = ClusterLimits(keeper, "task", True), ClusterLimits(keeper, "other", True)
        assert await lost.reserve(70)
        waiting = asyncio.ensure_future(other.reserve(30 + 1))
        await asyncio.sleep(0.3)
        assert not waiting.done()
        # Ray runs the task again.
        again = ClusterLimits(keeper, "task", True)
        assert await waiting is False
        lost.settle(70, 1)
        assert await again.reserve(30)
        again.settle(30, 10)
        assert await other.reserve(20)
        other.settle(20, 20)
        assert not await other.reserve(1)

    asyncio.run(asyncio.wait_for(story(), 60))
