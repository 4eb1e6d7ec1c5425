"""Rubrics of one's own."""

from mergeit_ops.core.scoring.rubrics import JUDGE, Scale, own_rubric


def test_a_text_of_ones_own_has_the_stats_of_the_built_in_one():
    own = own_rubric("Weigh the rhymes.", Scale(0, 10))
    assert own.measures == JUDGE.measures == {"judge": "judge_score"}
    assert own.form.read('{"reason": "they rhyme", "score": 9.5}', own.scale) == (9.5,)


def test_scores_below_zero_have_no_ratio():
    assert own_rubric("Weigh it.", Scale(-1, 1)).no_ratio
    assert not own_rubric("Weigh it.", Scale(0, 1)).no_ratio
