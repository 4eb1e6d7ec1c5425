"""Whole runs with batches: the conservation law, no request in two batches, killed runs, and requests run by hand."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops import cli
from mergeit_ops.core.columns import META
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import RecipeError
from tests.batch_server import FakeBatchServer, Fate
from tests.llm_server import merge_answer
from tests.planted_pairs import planted_rows, short_answers_only
from tests.recipe_runs import read_jsonl, run_recipe, run_recipe_on_ray, write_jsonl, write_recipe
from tests.test_whole_runs import assert_conserved, pipeline, statuses, work_dir_of

BUSY = {"error": {"message": "The server had an error", "type": "server_error"}}


def batch_params(server: FakeBatchServer) -> dict[str, Any]:
    params = {"base_url": server.base_url}
    return {"api_or_hf_model": "merger", "model_params": params, "api_mode": "batch", "batch_poll_interval": 0.01}


def batch_pipeline(server: FakeBatchServer, **merger: Any) -> list[dict]:
    process = pipeline(server, **{**batch_params(server), **merger})
    judge = {"scorer": "llm_judge", "scorer_params": batch_params(server), "gamma": 0.9, "reference": "max"}
    return [*process[:-1], {"quality_gate_filter": judge}]


@pytest.fixture
def data(tmp_path, embedded_rows) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", embedded_rows)


def test_merger_and_judge_in_batches_that_fail_lose_no_row_and_pay_nothing_twice(tmp_path, data, embedded_rows):
    fates = [
        Fate("expired", answered=5),
        Fate(line_errors={1: (500, BUSY), 2: (400, BUSY)}),
        Fate(),
        Fate("cancelled", answered=3),
    ]
    with FakeBatchServer(fates=fates) as server:
        export = run_recipe(write_recipe(tmp_path, batch_pipeline(server), data))
        assert server.requests == []
        assert set(server.paid.values()) == {1}
        # The merger: all pairs, what expired, what the server failed at. The gate: all rows, and what was cancelled.
        assert len(server.submitted) == 5
    rows = read_jsonl(export)
    assert_conserved(export, embedded_rows)
    assert statuses(rows)["merged"] > 3
    assert {row[META]["merge_error"] for row in rows} == {None, "api_failed"}
    figures = {record["operator"]: record["figures"] for record in read_manifests(work_dir_of(export))}
    merger = figures["llm_pair_merger_mapper"]
    assert merger["batches"] == 3
    assert set(merger["resubmitted"]) == {"expired", "transient"}


def test_taggers_rewriters_and_filters_ask_about_all_rows_in_one_batch(tmp_path, sample_rows):
    def answer(body: dict[str, Any]) -> Any:
        if "Tag this request" in str(body["messages"][-1]["content"]):
            return json.dumps([{"tag": "writing", "explanation": "It asks for a text."}])
        return merge_answer(body)

    data = write_jsonl(tmp_path / "in.jsonl", [row | {"id": f"r{n}"} for n, row in enumerate((sample_rows * 8)[:2500])])
    with FakeBatchServer(answer) as server:
        judged = {"scorer": "llm_judge", "scorer_params": batch_params(server), "min_score": 1}
        process = [
            {"instruction_tag_mapper": {"tagger": "llm", **batch_params(server)}},
            {"sample_score_filter": judged},
        ]
        rows = read_jsonl(run_recipe(write_recipe(tmp_path, process, data)))
        assert len(server.submitted) == 2
    assert len(rows) == 2500


@pytest.mark.slow
def test_the_files_of_a_recipe_are_written_run_by_hand_and_read(tmp_path, data, embedded_rows, capfd):
    with FakeBatchServer() as server:
        process = pipeline(server)
        recipe = write_recipe(tmp_path, process, data)
        folder = tmp_path / "requests"
        assert cli.main(["batch", "export", "--config", str(recipe), "--folder", str(folder)]) == 0
        assert server.requests == []
        (file,) = folder.glob("*.jsonl")
        lines = [json.loads(line) for line in file.read_text().splitlines()]
        printed = capfd.readouterr()
        assert f"{file}: {len(lines)} requests" in printed.out
        assert "Traceback" not in printed.out + printed.err
        assert "data_juicer" in (folder / "log.txt").read_text()
        answered = tmp_path / "responses.jsonl"
        with answered.open("w") as out:
            for line in lines:
                message = {"role": "assistant", "content": merge_answer(line["body"])}
                body = {"choices": [{"message": message, "finish_reason": "stop"}]}
                response = {"status_code": 200, "body": body}
                out.write(json.dumps({"custom_id": line["custom_id"], "response": response, "error": None}) + "\n")
        assert cli.main(["batch", "import", str(answered)]) == 0
        assert cli.main(["batch", "export", "--config", str(recipe), "--folder", str(folder)]) == 0
        assert "The recipe is finished" in capfd.readouterr().out
        assert server.requests == []
    assert_conserved(tmp_path / "out" / "export.jsonl", embedded_rows)
    assert statuses(read_jsonl(tmp_path / "out" / "export.jsonl"))["merged"] == len(lines)


@pytest.mark.slow
@pytest.mark.parametrize("step", [2, 4, 7, 10])
def test_a_killed_command_goes_on_and_loses_nothing(tmp_path, data, embedded_rows, step):
    process: list[subprocess.Popen[bytes]] = []

    def fail(method: str, path: str) -> None:
        if server.steps == step:
            process[0].send_signal(signal.SIGKILL)
            process[0].wait()

    fates = [Fate("expired", answered=5), Fate(), Fate("cancelled", answered=3)]
    with FakeBatchServer(fates=fates, fail=fail) as server:
        recipe = write_recipe(tmp_path, batch_pipeline(server), data)
        command = [str(Path(sys.executable).with_name("dj-process")), "--config", str(recipe)]
        with (tmp_path / "log").open("wb") as log:
            process.append(subprocess.Popen(command, stdout=log, stderr=log, cwd=tmp_path))
            assert process[0].wait(timeout=120) == -signal.SIGKILL
        export = run_recipe(recipe)
        assert set(server.paid.values()) == {1}
    assert_conserved(export, embedded_rows)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.slow
def test_batches_are_refused_on_ray(tmp_path, data):
    with FakeBatchServer() as server:
        recipe = write_recipe(tmp_path, pipeline(server, **batch_params(server)), data, executor_type="ray")
        with pytest.raises(RecipeError, match="api_mode: batch does not run on Ray"):
            run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "export"))
        assert server.steps == 0


def test_pairs_are_left_out_in_batches_as_online_in_one_more_round(tmp_path):
    data = write_jsonl(tmp_path / "in.jsonl", planted_rows(120))
    pairing = {"similarity_threshold": 0.5, "similarity_threshold_scale": "raw"}
    settings = {**pairing, "min_acceptance": 0.5, "max_failure_ratio": 1.0, "try_num": 1}
    exports = []
    with FakeBatchServer(short_answers_only) as server:
        for mode in ("online", "batch"):
            merger = {**batch_params(server), **settings, "api_mode": mode, "cache_path": str(tmp_path / f"{mode}.db")}
            process = [
                {"topic_cluster_grouper": {"num_clusters": 4}},
                {"llm_pair_merger_mapper": merger},
                {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength"}},
            ]
            recipe = write_recipe(tmp_path, process, data)
            exports.append(read_jsonl(run_recipe(recipe, "--export_path", str(tmp_path / mode / "export.jsonl"))))
        assert len(server.submitted) == 2
        assert set(server.paid.values()) == {1}
    assert exports[0] == exports[1]
    assert sum(row[META]["merge_error"] == "unlikely" for row in exports[1]) >= 60
