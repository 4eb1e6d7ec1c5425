"""A score, or why there is none."""

from mergeit_ops.core.scoring.score import Score


def test_a_value_is_a_score_and_a_missing_one_says_why():
    assert (Score(0.0).value, Score(0.0).status) == (0.0, "ok")
    assert (Score.missing("refused").value, Score.missing("refused").status) == (None, "refused")
    assert Score(1.0) == Score(1.0) != Score.missing("ok")
