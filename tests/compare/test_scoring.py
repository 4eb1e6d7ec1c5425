"""Scores of the rows of several sets, by one scorer."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mergeit_ops.compare import scoring
from mergeit_ops.compare.scoring import scores_of
from mergeit_ops.core.sample import Exchange, Sample
from mergeit_ops.errors import ScorerError
from mergeit_ops.scorers import Score
from mergeit_ops.scorers.reasoning_trace import ReasoningTraceScorer
from mergeit_ops.scorers.tool_call_check import ToolCallCheck


class Lengths:
    """Scores the length of the answer, and remembers what it was asked."""

    def __init__(self):
        self.asked = []

    def score(self, samples):
        self.asked += samples
        return [Score(float(len(one.output))) if one.output else Score.missing("empty_response") for one in samples]


def rows(*outputs):
    samples = [Sample(output, "", output) for output in outputs]
    return SimpleNamespace(samples=samples, ids=[f"{len(output)}-{output}" for output in outputs])


def test_a_row_of_two_sets_is_asked_about_once(monkeypatch):
    monkeypatch.setattr(scoring, "_AT_ONCE", 2)
    scorer, said = Lengths(), []
    found = scores_of([rows("a", "bb", ""), rows("bb", "ccc")], scorer, 10, said.append)
    assert found == [{0: 1.0, 1: 2.0, 2: None}, {0: 2.0, 1: 3.0}]
    assert len(scorer.asked) == 4
    assert said == ["Scoring 4 rows ..."]


def test_of_a_large_set_the_same_rows_are_taken_wherever_they_stand():
    names = [f"row {number}" for number in range(50)]
    (first,) = scores_of([rows(*names)], Lengths(), 7, lambda text: None)
    (turned,) = scores_of([rows(*names[::-1])], Lengths(), 7, lambda text: None)
    assert len(first) == 7
    assert {names[row] for row in first} == {names[::-1][row] for row in turned}


def test_no_rows_have_no_scores():
    assert scores_of([rows()], Lengths(), 5, lambda text: None) == [{}]


def test_scorers_see_answers_without_their_traces():
    traced = Sample(
        "a", "", "<think>Hm.</think>So.", exchanges=(Exchange("a", "Hm.", "So.", "<think>Hm.</think>So.", True),)
    )
    one = SimpleNamespace(samples=[traced], ids=["1"])
    assert scores_of([one], Lengths(), 10, lambda text: None) == [{0: 3.0}]
    assert scores_of([one], ReasoningTraceScorer(), 10, lambda text: None) == [{0: 0.0}]
    with pytest.raises(ScorerError, match="ToolCallCheck reads tools and tool calls, which `compare` does not read"):
        scores_of([one], ToolCallCheck(), 10, lambda text: None)
