"""The sentences of verdicts, and the cases in which an experiment cannot tell."""

from __future__ import annotations

import pytest

from mergeit_ops.core.training_effect.crossed_mean import CrossedMean
from mergeit_ops.core.training_effect.token_worth import TokenWorth
from mergeit_ops.core.training_effect.verdict import Sight, sight_of, verdict_of, worth_in_words


def mean(estimate, half):
    ends = (None, None) if half is None else (estimate - half, estimate + half)
    return CrossedMean(estimate, *ends, 0.0, 0.0, 3, 100)


BETTER, WORSE = mean(-0.02, 0.005), mean(0.02, 0.005)
UNCLEAR_BETTER = mean(-0.002, 0.005)
SEES = Sight(True, True, "")
WORTH = {"token": TokenWorth(1.5, 1.2, 1.9), "row": TokenWorth(1.4, 1.1, 1.8)}
NOTHING = {"token": None, "row": None}


def both(token, row=None):
    return {"token": token, "row": row or token}


def test_better_is_said_with_what_it_is_worth():
    told = verdict_of(both(BETTER), WORTH, SEES)
    assert told.kind == "better"
    assert told.sentence == (
        "Better than random rows of as many tokens: worth 1.50 (1.20 to 1.90) times its tokens of random rows by the "
        "loss per token, 1.40 (1.10 to 1.80) times by the loss per row."
    )


def test_worse_without_a_measure_of_tokens():
    told = verdict_of(both(WORSE), NOTHING, Sight(True, False, ""))
    assert told.kind == "worse"
    assert "Its worth is unknown" in told.sentence


@pytest.mark.parametrize(
    ("differences", "sight", "said"),
    [
        (both(UNCLEAR_BETTER), SEES, "Cannot tell from random rows of as many tokens."),
        (both(BETTER, UNCLEAR_BETTER), SEES, "better per token, but the other mean shows no clear difference"),
        (both(BETTER, WORSE), SEES, "better per token and worse per row"),
        (both(BETTER), Sight(False, True, ""), "does not detect that half of the answers"),
        (both(mean(-0.02, None)), SEES, "one draw does not show how much draws vary"),
    ],
)
def test_what_cannot_be_told_is_not_told(differences, sight, said):
    told = verdict_of(differences, NOTHING, sight)
    assert told.kind == "cannot_tell"
    assert told.sentence.startswith("Cannot tell")
    assert said in told.sentence


def test_an_experiment_sees_what_both_means_see():
    assert sight_of(both(WORSE), both(BETTER)) == Sight(
        True,
        True,
        "The experiment detects that half of the answers of its control are swapped, and it detects that twice the "
        "random rows are better.",
    )
    blind = sight_of(both(WORSE, UNCLEAR_BETTER), both(WORSE))
    assert (blind.swapped, blind.doubled) == (False, False)
    assert blind.sentence.count("does not detect") == 2


@pytest.mark.parametrize(
    ("worth", "words"),
    [
        (TokenWorth(1.5, None, 1.9), "1.50 (less than 0.25 to 1.90) times"),
        (TokenWorth(None, 4.0, None), "more than 4 times"),
        (TokenWorth(None, None, 0.25), "less than 0.25 times"),
        (TokenWorth(None, None, None), "an unknown number of (less than 0.25 to more than 4) times"),
    ],
)
def test_worth_in_words(worth, words):
    assert worth_in_words(worth) == words
