"""The cascade: a judge for close calls only, one scale per decision, and nothing made up."""

from __future__ import annotations

import pytest

from mergeit_ops.core.gate.comparison import Bounds, MergeComparison, RowComparison
from mergeit_ops.core.gate.rule import GateRule
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.errors import RecipeError, ScorerError
from mergeit_ops.scorers.cascade import CascadeScorer
from mergeit_ops.scorers.scoring import compared_scores
from tests.llm_server import FakeLLMServer, judgement, parents_of

CHEAP = "tests.user_scorers:ByFirstNumber"


def row(cheap: float | str, judged: float | str | None = None) -> Sample:
    """A row whose answer says what either scorer will make of it; a text that is no number is no score."""
    return Sample(f"task {cheap} {judged}", "", f"{cheap} {judged}")


def answer(body) -> str:
    (record,) = parents_of(body)
    judged = record["output"].split()[1]
    return judgement(float(judged)) if judged[0].isdigit() else "no idea"


def cascade_for(server: FakeLLMServer, **parameters) -> CascadeScorer:
    judge = {"scorer": "llm_judge", "model_params": {"base_url": server.base_url}, "max_failure_ratio": 1.0}
    return CascadeScorer(**{"cheap": CHEAP, "judge": judge, **parameters})


def merge(candidates: list[Sample], parents: list[Sample], bounds: Bounds | None = None) -> MergeComparison:
    rule = GateRule(gamma=1.0)
    return MergeComparison(
        tuple(candidates), tuple(parents), (None,) * len(candidates), rule, bounds if bounds is not None else Bounds()
    )


def values(scores: list[list[Score]]) -> list[list[float | None]]:
    return [[score.value for score in part] for part in scores]


PARENTS = [row(3, 5), row(3, 1)]


def test_the_judge_is_asked_within_the_margin_about_the_merge_and_its_parents():
    near, above, below = row(3.3, 4), row(3.31, 6), row(2.69, 6)
    with FakeLLMServer(answer) as server:
        scores = cascade_for(server).score_comparisons([merge([m], PARENTS) for m in (near, above, below)])
        asked = [parents_of(body)[0]["output"] for body in server.requests]
    assert values(scores) == [[4.0, 5.0, 1.0], [3.31, 3.0, 3.0], [2.69, 3.0, 3.0]]
    assert sorted(asked) == sorted(sample.output for sample in (near, *PARENTS))


def test_further_candidates_of_a_close_decision_are_judged_too():
    candidates = [row(3.1, 2), row(1, 6), row("x", 3)]
    with FakeLLMServer(answer) as server:
        scores = cascade_for(server).score_comparisons([merge(candidates[:2], PARENTS), merge(candidates, PARENTS)])
    assert values(scores) == [[2.0, 6.0, 5.0, 1.0], [2.0, 6.0, 3.0, 5.0, 1.0]]


def test_a_candidate_near_the_threshold_does_not_matter_beside_a_clear_winner():
    with FakeLLMServer(answer) as server:
        scores = cascade_for(server).score_comparisons([merge([row(3.1, 2), row(5, 2)], PARENTS)])
        assert server.requests == []
    assert values(scores) == [[3.1, 5.0, 3.0, 3.0]]


@pytest.mark.parametrize("candidates", [[row("x", 4)], [row("x", 4), row(6, 4)]])
def test_where_the_cheap_scorer_has_no_score_the_judge_decides(candidates):
    with FakeLLMServer(answer) as server:
        (scores,) = values(cascade_for(server).score_comparisons([merge(candidates, PARENTS)]))
    assert scores == [4.0] * len(candidates) + [5.0, 1.0]


def test_without_a_score_of_the_judge_there_is_none():
    question = merge([row(3.1, "none")], PARENTS)
    with FakeLLMServer(answer) as server:
        (scores,) = cascade_for(server).score_comparisons([question])
    assert [score.status for score in scores] == ["unparsable", "ok", "ok"]
    assert question.decide([score.value for score in scores]).rejected == "no_score"


def test_a_judge_that_fails_on_its_few_rows_does_not_stop_a_run():
    close = merge([row(3.1, "x")], [row(3, "x"), row(3, "x")])
    with FakeLLMServer(answer) as server:
        judge = {"scorer": "llm_judge", "model_params": {"base_url": server.base_url}}
        cascade = cascade_for(server, judge=judge)
        assert values(cascade.score_comparisons([close])) == [[None, None, None]]
        cascade.finish()


def test_rows_of_a_plain_filter_are_judged_near_its_bounds():
    bounds = Bounds(2, 5)
    questions = [RowComparison(sample, bounds) for sample in (row(2.2, 1), row(4, 1), row(5.3, 1), row("x", 1))]
    with FakeLLMServer(answer) as server:
        assert values(cascade_for(server).score_comparisons(questions)) == [[1.0], [4.0], [1.0], [1.0]]


def test_the_same_row_may_have_either_score_but_never_both_in_one_decision():
    shared = row(3, 5)
    with FakeLLMServer(answer) as server:
        near, far = cascade_for(server).score_comparisons([merge([row(3, 2)], [shared]), merge([row(6, 2)], [shared])])
    assert values([near, far]) == [[2.0, 5.0], [6.0, 3.0]]


def test_decisions_do_not_depend_on_how_they_come_in_batches():
    questions = [merge([row(2 + number / 10, 1 + number % 5)], PARENTS) for number in range(20)]
    with FakeLLMServer(answer) as server:
        whole = cascade_for(server).score_comparisons(questions)
        one_by_one = cascade_for(server, cheap=CHEAP)
        assert [one_by_one.score_comparisons([question])[0] for question in questions] == whole


def test_figures_say_what_was_saved_and_how_often_both_agree():
    agreeing = merge([row(3.2, 4)], [row(3, 3), row(3, 2)])
    disagreeing = merge([row(3.2, 1)], [row(3, 3), row(3, 2)])
    incomparable = merge([row("x", 1)], [row(3, 3), row(3, 2)])
    clear = merge([row(6, 1)], [row(3, 3), row(1, 2)])
    with FakeLLMServer(answer) as server:
        cascade = cascade_for(server)
        cascade.score_comparisons([agreeing, disagreeing, incomparable, clear])
        cascade.finish()
        figures = dict(cascade.figures())
        calls = len(server.requests)
    judge = figures.pop("judge")
    assert figures == {
        "decisions": 4,
        "settled_by_cheap": 1,
        "asked_of_judge": 3,
        "agreed": 1,
        "disagreed": 1,
        "rows": 7,
        "rows_judged": 5,
    }
    assert judge["calls"] == calls == 5


def test_without_a_decision_there_is_nothing_close():
    with FakeLLMServer(answer) as server:
        assert cascade_for(server).score([row(3, 5)]) == [Score(3.0)]
        assert cascade_for(server).figures() == {}
        assert server.requests == []


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"margin": -0.1}, "cascade: margin must be a number of at least 0, got -0.1"),
        ({"margin": "x"}, "cascade: margin must be"),
        ({"cheap": {"path": "x"}}, "cascade: cheap must be the name of a scorer, or a mapping"),
        ({"judge": None}, "cascade: judge must be the name"),
        ({"judge": "gpt"}, "cascade: judge: scorer must be one of"),
        ({"judge": {"scorer": "llm_judge", "n": 0}}, "cascade: judge: llm_judge: n must be"),
        ({"cheap": {"scorer": "distilled", "x": 1}}, "cascade: cheap: scorer_params do not fit"),
        ({"judge": "cascade"}, "cascade: judge must be a scorer that scores rows one by one, got 'cascade'"),
    ],
)
def test_bad_parameters_are_one_sentence(parameters, words):
    with pytest.raises(RecipeError, match=words):
        CascadeScorer(**parameters)


class OneComparisonShort:
    def score(self, samples):
        return []

    def score_comparisons(self, comparisons):
        return [[Score(1.0)] * len(comparison.samples) for comparison in comparisons[1:]]


def test_a_comparing_scorer_that_breaks_its_contract_is_named():
    questions = [merge([row(1)], [row(2)]), merge([row(3)], [row(4)])]
    with pytest.raises(ScorerError, match="OneComparisonShort gave scores for 2 rows in 1 comparison, but 4 in 2"):
        compared_scores(OneComparisonShort(), questions)
