"""SelectIT: the golden values of section G of the sheet."""

import math

import pytest

from mergeit_ops.core.scoring.selectit import RATING_PROMPTS, prompt_parts, sentence_score, token_score

ONE_HOT = {rating: [0.0 if number == rating else -math.inf for number in range(1, 6)] for rating in (1, 5)}


def logs(*probabilities: float) -> list[float]:
    return [math.log(probability) for probability in probabilities]


@pytest.mark.parametrize(
    ("weights", "score"),
    [
        (ONE_HOT[5], 1.278810),
        (ONE_HOT[1], 0.255762),
        (logs(0.2, 0.2, 0.2, 0.2, 0.2), 0),
        (logs(0.1, 0.1, 0.1, 0.2, 0.5), 0.415877),
        (logs(0.02, 0.03, 0.05, 0.2, 0.1), 0.330676),
    ],
)
def test_the_golden_token_scores(weights, score):
    assert token_score(weights) == pytest.approx(score, abs=1e-6)
    assert token_score([weight + 7 for weight in weights]) == pytest.approx(score, abs=1e-6)


def test_the_golden_sentence_score():
    scores = [0.330676, 1.278810, 0.415877]
    assert sentence_score(scores, 0) == pytest.approx(0.675121, abs=1e-6)
    assert sentence_score(scores, 0.2) == pytest.approx(0.621855, abs=1e-6)


def test_of_equal_ratings_the_lowest_counts():
    assert token_score(logs(0.1, 0.4, 0.05, 0.4, 0.05)) == pytest.approx(
        token_score(logs(0.4, 0.4, 0.1, 0.05, 0.05)) * 2
    )


@pytest.mark.parametrize("weights", [[math.nan, 0, 0, 0, 0], [-math.inf] * 5, [math.inf, 0, 0, 0, 0]])
def test_weights_that_are_no_numbers_are_refused(weights):
    with pytest.raises(ValueError, match="no finite weights"):
        token_score(weights)


def test_prompts_end_where_a_bare_digit_comes_next():
    assert len(set(RATING_PROMPTS)) == 5
    before, behind = prompt_parts(RATING_PROMPTS[0], "Do {it}.")
    assert "Do {it}." in before
    assert behind.endswith("\n")
