"""What holds for every scorer of rows, whatever it asks: a model, a server or a rule."""

from __future__ import annotations

import importlib
import inspect
import json
import math
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from itertools import product
from typing import Any

import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.formats.views import VIEWS
from mergeit_ops.core.gate.comparison import Bounds
from mergeit_ops.core.sample import Sample
from mergeit_ops.ops import SampleScoreFilter
from mergeit_ops.scorers import SCORERS, PlanningScorer, build_scorer
from mergeit_ops.scorers.scoring import identity_digest, measured_scores, measures_of, view_of
from tests.llm_server import FakeLLMServer, Reply, judgement, logprobs_reply
from tests.loss_server import answers_of
from tests.recipe_runs import make_dataset
from tests.thorough import every
from tests.tiny_models import gpt2_folder, reward_folder

MODELS: Mapping[str, Any] = {
    "deita": lambda: {"model": gpt2_folder(1024)},
    "response_loss": lambda: {"hf_model": gpt2_folder(512), "measures": ["ifd", "reverse_ifd", "upd"]},
    "prompt_uncertainty": lambda: {"hf_model": gpt2_folder(512), "num_perturbations": 2},
    "selectit": lambda: {"hf_model": gpt2_folder(1024), "num_prompts": 2},
    "reward_model": lambda: {"hf_model": reward_folder(positions=512)},
    "distilled": dict,
    "reasoning_trace": dict,
    "tool_call_check": dict,
}
"""Parameters of the scorers that need no server."""

OTHER = {
    "deita": {"kind": "complexity"},
    "response_loss": {"start_token": "released"},
    "prompt_uncertainty": {"num_perturbations": 3},
    "selectit": {"alpha": 0.5},
    "reward_model": {"max_length": 64},
    "deita_api": {"kind": "complexity"},
    "llm_judge": {"rubric": "From 1 to 6, by length alone."},
    "selectit_api": {"alpha": 0.5},
    "response_loss_api": {"prompt": "alpaca"},
}
"""Parameters that change what a scorer says."""


def answer(body: dict[str, Any]) -> str | Reply:
    """Say the same of the same text: one digit likelier than the others, or a judgement."""
    text = body.get("prompt") or json.dumps(body["messages"])
    level = sum(text.encode("utf-8", "replace")) % 5 + 1
    if "prompt" in body:
        return logprobs_reply({str(digit): -0.1 if digit == level else -3.0 - digit for digit in range(1, 7)})
    return judgement(level)


@contextmanager
def params_of(name: str) -> Iterator[dict[str, Any]]:
    """Yield the parameters of a scorer with tiny models, or with a server that lives as long as they are used."""
    if name in MODELS:
        yield MODELS[name]()
        return
    with FakeLLMServer(answers_of() if name == "response_loss_api" else answer) as server:
        asking = {"api_or_hf_model": "tiny", "model_params": {"base_url": server.base_url}, "cache_path": None}
        if name == "cascade":
            asking = {"cheap": "distilled", "judge": {"scorer": "llm_judge", **asking}, "margin": 0.5}
        if name == "response_loss_api":
            asking |= {"start_text": "<|endoftext|>", "measures": ["ifd", "reverse_ifd"]}
        yield asking


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")


def takes(name: str, parameter: str) -> bool:
    module, scorer = SCORERS[name].split(":")
    return parameter in inspect.signature(getattr(importlib.import_module(module), scorer)).parameters


every_scorer = pytest.mark.parametrize("name", list(SCORERS))

ROWS = [
    Sample("Name a fruit.", "It is red.", "Apple, or a ripe strawberry in June."),
    Sample("Count to three.", "", "One, two, three."),
    Sample("Explain why the sky is blue.", "", "Air scatters short waves of light more than long ones."),
    Sample("Translate into English.", "Guten Morgen", "Good morning"),
    Sample("Write a line about rain.", "", "It fell all night on the tin roof, and nobody slept."),
]
TOOLS = [{"name": "f", "parameters": {"properties": {"n": {"type": "integer"}}}}]
CALLS = (
    '{"name": "f", "arguments": {"n": 1}}',
    '{"name": "f", "arguments": {"n": "x"}}',
    '{"name": "g", "arguments": {}}',
)
ROWS_OF = {
    "reasoning_trace": [
        {"instruction": row.instruction, "input": row.input, "output": f"<think>{thought}</think>{row.output}"}
        for row, thought in zip(ROWS, ("Hm.", "wait, no. " * 9, "", "It is 3,", "一二三四五"), strict=True)
    ],
    "tool_call_check": [
        {"instruction": "Call.", "input": "", "output": f"<tool_call>{call}</tool_call>", "tools": TOOLS}
        for call in CALLS
    ],
}
"""Rows of scorers that have a score for some rows only."""


def rows_of(name: str) -> list[dict[str, Any]]:
    plain = [{"instruction": row.instruction, "input": row.input, "output": row.output} for row in ROWS]
    return ROWS_OF.get(name, plain)


def samples_of(scorer: Any, rows: list[dict[str, Any]]) -> list[Sample]:
    read = VIEWS[view_of(scorer, "answer")]
    return [read(resolve_format("auto", list(row)), row) for row in rows]


ODD = [
    Sample("Say nothing.", "", ""),
    Sample("Say nothing.", "", " \n\t "),
    Sample("", "", "An answer to nothing."),
    Sample("One word?", "", "Yes"),
    Sample("One sign?", "", "!"),
    Sample("Write at length.", "", "all the words there are " * 400),
    Sample("read all of this " * 400, "", "Done."),
    Sample("中文写一句。", "", "今天天气很好，我们去公园。"),
    Sample("اكتب جملة", "", "الطقس جميل اليوم."),
    Sample("Emoji 🙂", "", "👩‍👩‍👧‍👦 é́́ \ud800 \x00 end"),
    Sample("Twice.", "", "The same."),
    Sample("Twice.", "", "The same."),
]


def scores_of(scorer: Any, rows: list[Sample]) -> list[tuple[Any, ...]]:
    return measured_scores(scorer, rows, Bounds(0.0, 1.0))


def as_numbers(scores: list[tuple[Any, ...]]) -> list[float]:
    return [score.value for of_row in scores for score in of_row]


@every_scorer
def test_a_score_depends_on_its_row_alone(name):
    with params_of(name) as params:
        scorer = build_scorer(name, params)
        samples = samples_of(scorer, rows_of(name))
        together = as_numbers(scores_of(scorer, samples))
        alone = as_numbers([scores_of(scorer, [sample])[0] for sample in samples])
        backwards = as_numbers(scores_of(scorer, samples[::-1])[::-1])
    assert together == pytest.approx(alone, abs=1e-4)
    assert together == pytest.approx(backwards, abs=1e-4)


@every_scorer
def test_odd_rows_have_a_finite_score_or_a_reason(name):
    with params_of(name) as params:
        scores = scores_of(build_scorer(name, params), ODD)
    assert len(scores) == len(ODD)
    for of_row in scores:
        for score in of_row:
            assert (score.value is None) != (score.status == "ok")
            assert score.value is None or math.isfinite(score.value)
    if name in ROWS_OF:
        assert {score.value for of_row in scores for score in of_row} == {None}
        return
    assert scores[-1][0].value == pytest.approx(scores[-2][0].value, abs=1e-4)
    assert all(score.value is not None for score in scores[-1])


@every_scorer
def test_scores_lie_on_the_scale_that_a_scorer_names(name):
    with params_of(name) as params:
        scorer = build_scorer(name, params)
        low, high = getattr(scorer, "scale", (-math.inf, math.inf))
        scores = [score.value for score in scorer.score([*ROWS, *ODD]) if score.value is not None]
    assert all(low <= score <= high for score in scores)


@pytest.mark.parametrize("name", [name for name in SCORERS if name.endswith("_api") or name == "llm_judge"])
def test_a_plan_tells_the_calls_that_are_made(name):
    with params_of(name) as params:
        scorer = build_scorer(name, params)
        assert isinstance(scorer, PlanningScorer)
        plan = scorer.plan([*ROWS, ROWS[0]])
        assert scorer.engines()[0].total.calls == 0
        scorer.score([*ROWS, ROWS[0]])
        assert plan["calls"] == scorer.engines()[0].total.calls > 0


@every_scorer
def test_there_may_be_no_rows(name):
    with params_of(name) as params:
        assert scores_of(build_scorer(name, params), []) == []


@pytest.mark.parametrize(("name", "np"), every(3, product(SCORERS, (1, 2))))
def test_the_filter_writes_each_measure_whatever_the_number_of_processes(name, np):
    rows = rows_of(name)
    with params_of(name) as params:
        operator = SampleScoreFilter(scorer=name, scorer_params=params, score_all=True, num_proc=np)
        scored = list(operator.run(make_dataset(rows)))
        scorer = build_scorer(name, params)
        expected = scores_of(scorer, samples_of(scorer, rows))
    for row, scores in zip(scored, expected, strict=True):
        for stat, score in zip(measures_of(scorer).values(), scores, strict=True):
            assert row[STATS][stat] == pytest.approx(score.value, abs=1e-4)
            assert row[STATS][stat + "_status"] == "ok"


@pytest.mark.parametrize("name", list(OTHER))
def test_a_score_of_other_parameters_is_told_apart(name):
    with params_of(name) as params:
        digests = {
            identity_digest(build_scorer(name, given), name, given, Bounds(0.0, 1.0))
            for given in (params, params | OTHER[name])
        }
        again = identity_digest(build_scorer(name, dict(params)), name, params, Bounds(0.0, 1.0))
    assert len(digests) == 2
    assert again in digests


TRACED = [
    {
        "instruction": row.instruction,
        "input": row.input,
        "output": f"<think>Hm, {row.instruction}</think>\n\n{row.output}",
    }
    for row in ROWS
]
"""The rows with traces before their answers."""


@pytest.mark.parametrize("name", [name for name in SCORERS if name not in ROWS_OF])
def test_a_scorer_looks_at_the_answer_unless_it_is_told_otherwise(name):
    plain = [{"instruction": row.instruction, "input": row.input, "output": row.output} for row in ROWS]
    with params_of(name) as params:
        given = {"scorer": name, "scorer_params": params, "score_all": True}
        operators = [SampleScoreFilter(**given), SampleScoreFilter(**given, read="response")]
        expected = [row[STATS] for row in operators[0].run(make_dataset(plain))]
        answers = [row[STATS] for row in operators[0].run(make_dataset(TRACED))]
        responses = [row[STATS] for row in operators[1].run(make_dataset(TRACED))]
        (stat, *_) = measures_of(build_scorer(name, params)).values()
    assert [row[stat] for row in answers] == pytest.approx([row[stat] for row in expected], abs=1e-4)
    assert [row[stat + "_made_by"] for row in answers] == [row[stat + "_made_by"] for row in expected]
    assert not {row[stat + "_made_by"] for row in responses} & {row[stat + "_made_by"] for row in answers}
    assert [row[stat] for row in responses] != pytest.approx([row[stat] for row in expected], abs=1e-6)


@pytest.mark.parametrize("name", [name for name in SCORERS if takes(name, "max_length")])
def test_what_a_model_cannot_read_is_counted_and_said_once(name, lines):
    long = Sample("Write at length.", "", "all the words there are " * 400)
    with params_of(name) as params:
        scorer = build_scorer(name, params)
        for rows in (ROWS, [long, *ROWS], ROWS):
            scores_of(scorer, rows)
        assert scorer.figures()["rows_cut"] == 1
        scorer.finish()
        whole = build_scorer(name, params)
        scores_of(whole, ROWS)
        assert not whole.figures()
        whole.finish()
    (line,) = [line for line in lines if "max_length" in line]
    assert line.startswith(f"{name}: 1 of {3 * len(ROWS) + 1} rows did not fit into max_length")
