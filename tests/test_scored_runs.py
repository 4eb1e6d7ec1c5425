"""Whole runs whose gate gets scores from a server: decisions, paid requests, and stops."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import LLMUnavailableError, RecipeError, TooManyFailuresError
from mergeit_ops.ops import LLMPairMergerMapper, QualityGateFilter, TopicClusterGrouper
from tests.llm_server import FakeLLMServer, Reply, judgement, logprobs_reply, parents_of
from tests.recipe_runs import make_dataset, read_jsonl, run_recipe, write_jsonl, write_recipe
from tests.test_whole_runs import assert_conserved, statuses, work_dir_of

DIGITS = "123456"


def level(text: str) -> int:
    """A score from 1 to 6 that depends only on the text."""
    return sum(text.encode()) % 6 + 1


def serve(body: dict[str, Any]) -> str | Reply:
    """Score like a judge, or like the Deita scorer with nearly all probability on one level."""
    if "prompt" in body:
        output = body["prompt"].partition("#Response#:\n")[2].removesuffix(" \n##Quality: ")
        return logprobs_reply({digit: -0.01 if int(digit) == level(output) else -100.0 for digit in DIGITS})
    (record,) = parents_of(body)
    return judgement(level(record["output"]))


def scoring(name: str, server: FakeLLMServer | str, **params: Any) -> dict[str, Any]:
    """Return the gate's parameters for a scorer. For a cascade, `params` are those of its judge.

    The cheap scorer of the cascade counts characters, so that some merges of these texts pass and others fail.
    """
    url = server if isinstance(server, str) else server.base_url
    asking = {"model_params": {"base_url": url}, **params}
    if name == "cascade":
        judge = {"scorer": "llm_judge", **asking}
        cascade = {"cheap": "tests.user_scorers:ByLength", "judge": judge, "margin": 30}
        return {"gamma": 1.4, "reference": "max", "scorer": name, "scorer_params": cascade}
    return {"gamma": 1.0, "scorer": name, "scorer_params": asking}


def pipeline(name: str, server: FakeLLMServer | str, **params: Any) -> list[dict]:
    return [
        {"topic_cluster_grouper": {"num_clusters": 5}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat", "similarity_threshold": 0.4}},
        {"quality_gate_filter": scoring(name, server, **params)},
    ]


@pytest.fixture
def data(tmp_path, embedded_rows) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", embedded_rows)


@pytest.fixture(scope="module")
def merged(embedded_rows) -> Any:
    """Rows before the gate: 41 pairs among 120 rows, joined with "and"."""
    topics = TopicClusterGrouper(num_clusters=5).run(make_dataset(embedded_rows))
    return LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.4).run(topics)


def gate(name: str, server: FakeLLMServer | str, **params: Any) -> QualityGateFilter:
    return QualityGateFilter(**scoring(name, server, **params))


def row_ids(rows: Any) -> list[str]:
    """The ids of the unmerged rows, and of the rows inside merged rows."""
    metas = [row[META] for row in rows]
    alone = [meta["row_id"] for meta in metas if meta["merge_status"] != "merged"]
    return sorted(alone + [row_id for meta in metas for row_id in meta["merge_parent_ids"]])


def gate_figures(export: Path) -> dict[str, Any]:
    (*_, record) = [r for r in read_manifests(work_dir_of(export)) if r["operator"] == "quality_gate_filter"]
    return record["figures"]


scorers = pytest.mark.parametrize("name", ["deita_api", "llm_judge", "cascade"])


@scorers
def test_a_run_decides_by_the_servers_scores_and_the_second_one_pays_nothing(tmp_path, data, embedded_rows, name):
    with FakeLLMServer(serve) as server:
        recipe = write_recipe(tmp_path, pipeline(name, server), data)
        export = run_recipe(recipe)
        asked = len(server.requests)
        rows = read_jsonl(export)
        figures = gate_figures(export)
        again = read_jsonl(run_recipe(recipe))
        assert len(server.requests) == asked > 0
    assert again == rows
    assert_conserved(export, embedded_rows)
    assert statuses(rows).keys() == {"original", "merged", "restored"}
    for row in rows:
        stats = row[STATS]
        if row[META]["merge_status"] == "original":
            assert stats["quality_status"] == "not_scored"
        elif name != "cascade":
            assert stats["quality_score"] == pytest.approx(level(row["output"]), abs=1e-6)
            accepted = stats["merge_quality_after"] > stats["merge_quality_before"]
            assert accepted == (row[META]["merge_status"] == "merged")
    paid = figures["scoring"].get("judge", figures["scoring"])
    assert (paid["calls"], paid["cache_hits"], paid["failed"]) == (asked, 0, {})
    assert paid["prompt_tokens"] > 0


def test_a_cascade_asks_about_close_calls_only_and_scores_each_decision_on_one_scale(merged):
    with FakeLLMServer(serve) as server:
        operator = gate("cascade", server)
        rows = list(operator.run(merged))
        asked = {parents_of(body)[0]["output"] for body in server.requests}
    figures = operator._scorer.figures()
    assert 0 < figures["asked_of_judge"] == 41 - figures["settled_by_cheap"] < 41 == figures["decisions"]
    assert figures["agreed"] + figures["disagreed"] == figures["asked_of_judge"]
    assert figures["rows_judged"] == len(asked) < figures["rows"]
    for row in rows:
        if row[META]["merge_status"] != "original":
            expected = level(row["output"]) if row["output"] in asked else len(row["output"])
            assert row[STATS]["quality_score"] == expected
        if row[META]["merge_status"] == "merged":
            parents = {decode_row(text)["output"] for text in row[META]["merge_parents"]}
            assert (row["output"] in asked) == (parents <= asked) == bool(parents & asked)


@scorers
def test_rows_are_conserved_and_no_score_is_made_up_when_half_of_them_fail(merged, name):
    def half(body):
        if level(str(body.get("prompt") or body["messages"][-1]["content"])) % 2:
            return serve(body)
        return logprobs_reply({"1": -0.1}) if "prompt" in body else "no idea"

    with FakeLLMServer(half) as server:
        rows = list(gate(name, server, max_failure_ratio=1.0).run(merged))
    assert row_ids(rows) == row_ids(merged)
    assert len(set(row_ids(rows))) == 120
    reason = "digits_missing" if name == "deita_api" else "unparsable"
    found = {row[STATS]["quality_status"] for row in rows}
    assert {"ok", reason} <= found <= {"ok", reason, "not_scored"}
    for row in rows:
        assert (row[STATS]["quality_score"] is None) == (row[STATS]["quality_status"] != "ok")
        if row[META]["merge_status"] == "merged":
            assert row[STATS]["quality_status"] == "ok"
    assert "no_score" in {row[META]["merge_rejected"] for row in rows}


def test_a_wrong_key_stops_the_run_without_an_export(tmp_path, data):
    with FakeLLMServer(serve, api_key="right") as server:
        with pytest.raises(LLMUnavailableError, match=r"^quality_gate_filter: .* variable OPENAI_API_KEY"):
            run_recipe(write_recipe(tmp_path, pipeline("llm_judge", server), data))
        assert len(server.requests) == 1
    assert not (tmp_path / "out" / "export.jsonl").exists()


@scorers
@pytest.mark.parametrize(
    ("refusing", "complaint"),
    [
        ({"api_key": "right"}, "refused the API key .*set the environment variable OPENAI_API_KEY"),
        ({"models": ("another",)}, "does not know model .*check api_or_hf_model"),
    ],
)
def test_a_server_that_cannot_be_asked_stops_the_operator(merged, name, refusing, complaint):
    with FakeLLMServer(serve, **refusing) as server:
        with pytest.raises(LLMUnavailableError, match=f"^quality_gate_filter: .*{complaint}"):
            gate(name, server).run(merged)
        assert len(server.requests) == 1


def test_nobody_listening_stops_the_operator(merged):
    with pytest.raises(LLMUnavailableError, match=r"^quality_gate_filter: Nobody answers at http://127\.0\.0\.1:9/v1"):
        gate("llm_judge", "http://127.0.0.1:9/v1").run(merged)


def test_too_many_failures_stop_the_operator_and_what_was_answered_is_not_paid_again(merged):
    fails = [True]

    def answer(body):
        return "no idea" if fails[0] and level(body["messages"][-1]["content"]) > 2 else serve(body)

    with FakeLLMServer(answer) as server:
        parameters = {"try_num": 1, "max_concurrency": 1}
        with pytest.raises(TooManyFailuresError, match=r"^quality_gate_filter: .*max_failure_ratio=0\.5"):
            gate("llm_judge", server, **parameters).run(merged)
        asked = {body["messages"][-1]["content"] for body in server.requests}
        answered = {content for content in asked if level(content) <= 2}
        fails[0] = False
        server.requests.clear()
        gate("llm_judge", server, **parameters).run(merged)
        again = answered & {body["messages"][-1]["content"] for body in server.requests}
    # One call at most was in flight when the run stopped.
    assert len(answered) > 1 >= len(again)


def test_all_of_a_few_failures_stop_the_run_at_its_end_with_the_cost_on_record(tmp_path, embedded_rows):
    topics = TopicClusterGrouper(num_clusters=1).run(make_dataset(embedded_rows[:6]))
    rows = LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=-1).run(topics)
    complaint = "quality_gate_filter: 9 of 9 requests to the LLM failed"
    with FakeLLMServer(lambda body: "no idea") as server:
        operator = gate("llm_judge", server)
        operator.work_dir = str(tmp_path)
        with pytest.raises(TooManyFailuresError, match=complaint):
            operator.run(rows)
        (record,) = read_manifests(tmp_path)
        assert record["stopped"] == "TooManyFailuresError"
        assert record["figures"]["scoring"]["calls"] == len(server.requests) == 27


@scorers
def test_nothing_is_asked_about_rows_that_no_parameter_asks_for(embedded_rows, name):
    with FakeLLMServer(serve) as server:
        rows = gate(name, server).run(make_dataset(embedded_rows))
        batch = gate(name, server).compute_stats(make_dataset(embedded_rows[:3]).to_dict())
        assert server.requests == []
    assert {stats["quality_status"] for stats in [*rows[STATS], *batch[STATS]]} == {"not_scored"}


def test_looking_at_a_recipe_with_dj_analyze_asks_nothing(tmp_path, data):
    from data_juicer.config import init_configs
    from data_juicer.core import Analyzer

    with FakeLLMServer(serve) as server:
        recipe = write_recipe(tmp_path, pipeline("llm_judge", server), data)
        config = init_configs(["--config", str(recipe)])
        Analyzer(config).run()
        assert server.requests == []


def test_as_a_plain_filter_a_cascade_asks_near_the_bound_only(embedded_rows):
    near = {row["output"] for row in embedded_rows if abs(len(row["output"]) - 100) <= 30}
    with FakeLLMServer(serve) as server:
        kept = QualityGateFilter(min_score=100, **scoring("cascade", server)).run(make_dataset(embedded_rows))
        asked = {parents_of(body)[0]["output"] for body in server.requests}
    assert asked == near != set()
    # Every score of the judge is below a limit in characters.
    longer = [row for row in embedded_rows if len(row["output"]) > 130]
    assert [row["id"] for row in kept] == [row["id"] for row in longer]


@pytest.mark.parametrize("name", ["llm_judge", "cascade"])
def test_decisions_do_not_depend_on_where_batches_are_cut(merged, monkeypatch, name):
    def sometimes(body):
        return serve(body) if level(body["messages"][-1]["content"]) > 1 else "no idea"

    with FakeLLMServer(sometimes) as server:
        whole = list(gate(name, server, cache_path=None, try_num=1).run(merged))
        asked = len(server.requests)
        monkeypatch.setattr("mergeit_ops.dataset.tables.iter_tables.__defaults__", (None, 7))
        assert list(gate(name, server, cache_path=None, try_num=1).run(merged)) == whole
        assert len(server.requests) == 2 * asked


@scorers
def test_a_key_among_the_scorers_parameters_is_refused(name):
    with pytest.raises(RecipeError, match=r"quality_gate_filter: scorer_params.*looks like a secret") as refusal:
        gate(name, "http://127.0.0.1:9/v1", api_key="hunter2")
    assert "hunter2" not in str(refusal.value)


@pytest.mark.parametrize("name", ["llm_judge", "cascade"])
def test_headers_of_a_scorers_client_stay_out_of_the_manifest(tmp_path, merged, name):
    with FakeLLMServer(serve) as server:
        client = {"base_url": server.base_url, "default_headers": {"X-Team": "hunter2"}}
        operator = gate(name, server, model_params=client)
        operator.work_dir = str(tmp_path)
        operator.run(merged)
        assert {headers["x-team"] for headers in server.headers} == {"hunter2"}
    (record,) = (tmp_path / "mergeit").glob("*.json")
    text = record.read_text(encoding="utf-8")
    assert server.base_url in text
    assert "hunter2" not in text


def test_what_scoring_costs_is_told_apart_from_what_merging_costs(tmp_path, data, monkeypatch):
    from mergeit_ops.dataset import manifest

    lines: list[str] = []
    monkeypatch.setattr(manifest.logger, "info", lines.append)

    def answer(body):
        records = parents_of(body)
        return serve(body) if len(records) == 1 else json.dumps(Sample("a b", "", "c d").__dict__)

    with FakeLLMServer(answer) as server:
        process = pipeline("llm_judge", server)
        process[1] = {
            "llm_pair_merger_mapper": {
                "api_or_hf_model": "m",
                "model_params": {"base_url": server.base_url},
                "similarity_threshold": 0.4,
            }
        }
        run_recipe(write_recipe(tmp_path, process, data))
        merges = sum(len(parents_of(body)) > 1 for body in server.requests)
        judgements = len(server.requests) - merges
    (summary,) = [line for line in lines if "MergeIT summary" in line][-1:]
    assert f"; calls {merges};" in summary
    assert f"scoring (requests {judgements}, calls {judgements}, cache hits 0," in summary.replace("_", " ")
