"""The rule of two orders and the score, against figures computed by hand and published ones."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.measures.win_score import Scores, Tally, outcome, read_scores, scores_of

some_scores = st.one_of(st.none(), st.builds(Scores, st.integers(1, 10), st.integers(1, 10)))


@pytest.mark.parametrize(
    ("first", "second", "expected"),
    [((8, 7), (8, 8), 1), ((8, 7), (6, 8), 0), ((7, 7), (7, 7), 0), ((6, 8), (7, 7), -1)],
)
def test_two_orders_give_one_outcome(first, second, expected):
    assert outcome(Scores(*first), Scores(*second)) == expected


@given(some_scores, some_scores, st.sampled_from(["tie", "exclude"]))
def test_the_rule_favours_neither_order_nor_model(first, second, unreadable):
    def swapped(scores):
        return scores and Scores(scores.b, scores.a)

    found = outcome(first, second, unreadable)
    assert outcome(second, first, unreadable) == found
    assert outcome(swapped(first), swapped(second), unreadable) == (None if found is None else -found)


def test_a_judgement_that_cannot_be_read_is_even_or_leaves_its_question_out():
    ahead = Scores(8, 7)
    assert outcome(ahead, None) == outcome(None, ahead) == 1
    assert outcome(None, None) == 0
    assert outcome(ahead, None, "exclude") is outcome(None, ahead, "exclude") is outcome(None, None, "exclude") is None
    assert outcome(ahead, ahead, "exclude") == 1


def test_wins_and_losses_over_all():
    assert Tally(5, 3, 2).win_score == pytest.approx(1.3)
    assert Tally.of([1] * 5 + [0] * 3 + [-1] * 2) == Tally(5, 3, 2)
    assert [Tally(4, 0, 0).win_score, Tally(0, 4, 0).win_score, Tally(0, 0, 4).win_score] == [2, 1, 0]


def test_pooled_questions_give_the_published_total():
    """AlpaGasus-9k against Alpaca-52k: questions, win score of each set, and 1.0658 over all of them."""
    published = {
        "vicuna": (80, 1.2125),
        "koala": (180, 1.0222),
        "wizardlm": (218, 1.0596),
        "selfinstruct": (252, 1.0556),
    }
    net = {name: round((score - 1) * questions) for name, (questions, score) in published.items()}
    tallies = {name: Tally(net[name], questions - net[name], 0) for name, (questions, _) in published.items()}
    assert {name: round(tally.win_score, 4) for name, tally in tallies.items()} == {
        name: score for name, (_, score) in published.items()
    }
    pooled = Tally(sum(net.values()), 730 - sum(net.values()), 0)
    assert round(pooled.win_score, 4) == 1.0658
    # The mean over sets is another figure.
    assert sum(tally.win_score for tally in tallies.values()) / 4 == pytest.approx(1.0875, abs=1e-4)


@pytest.mark.parametrize(
    ("text", "expected"),
    [
        ("8 7\nThe first answer is better.", (8, 7)),
        ("8, 7", (8, 7)),
        ("\n 8.5   7 \nReasons: 1 2", (8.5, 7)),
        ("0 10", (0, 10)),
        ("8", None),
        ("8 7 6", None),
        ("Assistant 1: 8\nAssistant 2: 7", None),
        ("8/10 7/10", None),
        ("-1 -1", None),
        ("nan 7", None),
        ("inf 7", None),
        ("", None),
        ("I cannot judge this.\n8 7", None),
    ],
)
def test_only_a_first_line_of_two_scores_is_read(text, expected):
    assert read_scores(text) == expected


@given(st.text())
def test_no_text_raises(text):
    found = read_scores(text)
    assert found is None or (found.a >= 0 and found.b >= 0)


def test_scores_given_as_numbers():
    assert scores_of(8, 7.5) == (8, 7.5)
    assert [scores_of(*pair) for pair in ((None, 7), (True, 7), ("8", 7), (-1, -1), (float("nan"), 1))] == [None] * 5
