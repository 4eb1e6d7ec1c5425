"""The judge that a scorer is distilled from: how it is named, its scale, and what is written down of it."""

from __future__ import annotations

import json

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import RecipeError
from mergeit_ops.scorers.judge import Judge, build_judge
from tests.llm_server import FakeLLMServer, judged


def test_a_rubric_is_a_short_name_for_llm_judge():
    judge = build_judge("alpagasus_accuracy", {"api_or_hf_model": "m"})
    assert (judge.name, judge.params) == ("llm_judge", {"rubric": "alpagasus_accuracy", "api_or_hf_model": "m"})
    assert build_judge("llm_judge", {"rubric": "alpagasus_accuracy"}).scorer.measures == judge.scorer.measures


@pytest.mark.parametrize(
    ("name", "params", "complaint"),
    [
        ("nobody", {}, "--judge must be a scorer, one of 'distilled', .*a rubric of llm_judge, one of 'judge'"),
        ("lift", {"rubric": "judge"}, "--judge-params names a rubric too"),
        ("lift", {"rubrics": ["judge"]}, "--judge-params names a rubric too"),
        ("distilled", {}, "--judge must not be 'distilled': .*the licence of its weights"),
        ("cascade", {}, "'cascade' decides by comparison; name its judge"),
        ("llm_judge", {"rubrik": "lift"}, "do not fit the scorer 'llm_judge'"),
        ("llm_judge", {"rubric": "By length.", "scale": [6, 1]}, "the lowest number must be below the highest"),
        ("llm_judge", {"rubric": "By length.", "scale": [1, float("nan")]}, "scale"),
        ("llm_judge", {"rubric": "By length.", "scale": ["one", "six"]}, "scale"),
        ("llm_judge", {"rubric": "lift", "scale": [1, 6]}, "scale belongs to a rubric of your own"),
        ("llm_judge", {"api_key": "something"}, "api_key looks like a secret"),
        ("no_such_module:Scorer", {}, "could not be imported"),
    ],
)
def test_a_judge_that_cannot_work_is_one_sentence(name, params, complaint):
    with pytest.raises(RecipeError, match=complaint):
        build_judge(name, params)


@pytest.mark.parametrize(
    ("name", "params", "scale"),
    [
        ("alpagasus_accuracy", {}, (0, 5, "")),
        ("lift", {}, (0, 100, "")),
        ("deita_api", {}, (1, 6, "")),
        ("llm_judge", {"rubric": "By length.", "scale": [-2, 2]}, (-2, 2, "its scores may be negative")),
        # Without an end of its own: what the judge gave.
        ("tree_nodes", {}, (1, 30, "a merge has the nodes of all its parents")),
        ("tests.user_scorers:ByLength", {}, (-3, 30, "its scores may be negative")),
    ],
)
def test_the_scale_is_the_judges(name, params, scale):
    found = build_judge(name, params).scale([-3.0, 7.0, 30.0])
    assert (found.low, found.high, found.no_ratio) == scale


def test_what_is_written_down_of_a_judge_holds_no_secret(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://somebody:hidden-word@127.0.0.1:1/v1")
    params = {"model_params": {"default_headers": {"X-Team": "hidden-team"}, "default_query": {"v": "hidden-query"}}}
    described = build_judge("lift", params).described()
    text = json.dumps(described)
    assert "hidden" not in text
    assert described["judge_identity"]["base_url"] == "http://127.0.0.1:1/v1"
    assert len(described["judge_identity"]["prompt"]) == 64


def test_a_judge_scores_and_a_row_that_it_cannot_score_has_a_reason():
    rows = [Sample(f"Task {number}", "", "word " * (number + 1)) for number in range(5)]
    with FakeLLMServer(lambda body: judged(body, 7 if "Task 3" in str(body) else 3)) as server:
        judge: Judge = build_judge("humpback", {"model_params": {"base_url": server.base_url}, "try_num": 1})
        scores = judge.scores(rows)
    assert [score.value for score in scores] == [3, 3, 3, None, 3]
    assert scores[3].status == "unparsable"
