"""Whole runs on rows with reasoning traces and tool calls keep both, in every executor."""

from __future__ import annotations

import json

import pytest
import yaml

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.scoring.response_loss import MEASURES
from mergeit_ops.ops import PoolScoreMapper, QualityGateFilter, SampleScoreFilter
from tests.conftest import REPOSITORY
from tests.recipe_runs import (
    make_dataset,
    read_export,
    read_jsonl,
    run_recipe,
    run_recipe_apart,
    run_recipe_on_ray,
    write_recipe,
)
from tests.test_recipes import process_of
from tests.thorough import every
from tests.tiny_models import gpt2_folder

RECIPE = REPOSITORY / "recipes" / "reasoning.yaml"
DATA = REPOSITORY / "recipes" / "data" / "sample_reasoning.jsonl"
GOOD = [row["id"] for row in read_jsonl(DATA) if row["id"].startswith("good")]
PROCESS = [{name: parameters} for name, parameters in process_of(RECIPE)]
UNBOUNDED = [
    {"sample_score_filter": {"scorer": scorer, "measure": None}} for scorer in ("reasoning_trace", "tool_call_check")
]


@pytest.mark.parametrize("processes", [1, 2])
def test_the_recipe_drops_what_is_broken_and_keeps_all_else(tmp_path, monkeypatch, processes):
    monkeypatch.chdir(REPOSITORY)
    export = run_recipe(RECIPE, "--export_path", str(tmp_path / "out" / "export.jsonl"), "--np", str(processes))
    rows = read_jsonl(export)
    assert [row["id"] for row in rows] == GOOD
    before = {row["id"]: row for row in read_jsonl(DATA)}
    assert [row["messages"][-1]["content"] for row in rows] == [before[i]["messages"][-1]["content"] for i in GOOD]


def stats_of(rows):
    kept = ("trace_", "tool_call")
    return {
        row["id"]: {
            # Writers on Ray round to ten digits.
            name: round(value, 9) if isinstance(value, float) else value
            for name, value in row[STATS].items()
            if name.startswith(kept) and value is not None
        }
        for row in rows
    }


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("process", every(2, [UNBOUNDED, PROCESS]), ids=["unbounded", "bounded"])
def test_ray_gives_the_same_rows_and_stats(tmp_path, process):
    recipe = write_recipe(tmp_path, process, DATA, text_keys="messages")
    default = read_jsonl(run_recipe_apart(recipe, tmp_path / "default" / "export.jsonl"))
    ray = read_export(run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export")))
    assert stats_of(ray) == stats_of(default)
    assert len(default) == (len(GOOD) if process is PROCESS else len(read_jsonl(DATA)))


@pytest.mark.slow
def test_dj_analyze_shows_the_stats(tmp_path):
    from data_juicer.config import init_configs
    from data_juicer.core import Analyzer

    recipe = write_recipe(tmp_path, UNBOUNDED, DATA, text_keys="messages")
    analyzed = Analyzer(init_configs(["--config", str(recipe)])).run()
    assert len(analyzed) == len(read_jsonl(DATA))
    (page,) = (path.read_text(encoding="utf-8") for path in tmp_path.rglob("overall.csv"))
    assert "trace_loop_score" in page
    assert "tool_call_valid_share" in page


ANSWER = "Air scatters short waves of light more than long ones."
PLAIN = {"messages": [{"role": "user", "content": "Why is the sky blue?"}, {"role": "assistant", "content": ANSWER}]}
FORMS = [
    {"content": f"<think>\nRayleigh.\n</think>\n\n{ANSWER}"},
    {"content": ANSWER, "reasoning_content": "Rayleigh."},
]


def traced(form):
    return {"messages": [PLAIN["messages"][0], {"role": "assistant", **form}]}


@pytest.mark.parametrize("form", FORMS, ids=["text", "field"])
@pytest.mark.parametrize(("measure", "turns"), [("ifd", "mean"), ("perplexity", "mean"), ("perplexity", "max")])
def test_losses_are_of_the_answer_as_if_there_were_no_trace(form, measure, turns):
    params = {"measures": [measure], "hf_model": gpt2_folder(512), "cache_path": None, "turns": turns}

    def loss(row, **read):
        operator = SampleScoreFilter(scorer="response_loss", scorer_params=params, **read)
        (scored,) = operator.run(make_dataset([row]))
        return scored[STATS][MEASURES[measure]]

    assert loss(traced(form)) == pytest.approx(loss(PLAIN), abs=1e-6)
    responses = {round(loss(traced(each), read="response"), 4) for each in FORMS}
    assert len(responses) == 1
    assert loss(PLAIN) not in responses


def test_the_gate_as_a_plain_filter_reads_answers_too():
    def score(row, **read):
        gate = QualityGateFilter(scorer="tests.user_scorers:ByLength", score_all=True, **read)
        (scored,) = gate.run(make_dataset([row]))
        return scored[STATS]["quality_score"]

    assert score(traced(FORMS[1])) == score(PLAIN) == len(ANSWER)
    assert score(traced(FORMS[1]), read="response") == len(FORMS[0]["content"])


def test_scorers_of_the_pool_read_answers_too():
    rows = [
        {"instruction": f"Why is {name} blue?", "output": f"It is {name}."} for name in ("the sky", "the sea", "a jay")
    ]
    thought = [row | {"output": f"<think>\nRayleigh.\n</think>\n\n{row['output']}"} for row in rows]
    params = {"hf_model": gpt2_folder(512), "cache_path": None}

    def scores(data, **read):
        scored = PoolScoreMapper(scorer="miwv", scorer_params=params, **read).run(make_dataset(data))
        return [row[STATS]["miwv"] for row in scored], {row[STATS]["miwv_made_by"] for row in scored}

    plain, answers, responses = scores(rows), scores(thought), scores(thought, read="response")
    assert answers[0] == pytest.approx(plain[0], abs=1e-5)
    assert responses[0] != pytest.approx(plain[0], abs=1e-5)
    assert answers[1] == plain[1] != responses[1]


def test_the_sample_that_ships_has_every_form():
    text = DATA.read_text(encoding="utf-8")
    rows = [json.loads(line) for line in text.splitlines()]
    assert len(rows) > 20
    for form in ("<think>", "reasoning_content", "tool_calls", '"tools"'):
        assert form in text
    assert yaml.safe_load(RECIPE.read_text(encoding="utf-8"))["text_keys"] == ["messages"]
