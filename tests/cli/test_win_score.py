"""`win-score` over two files of judgements."""

from __future__ import annotations

import json
from typing import Any

import pytest

from mergeit_ops import cli
from tests.recipe_runs import write_jsonl


class Scored:
    """What the command printed and how it ended."""

    def __init__(self, capsys: Any, *arguments: object) -> None:
        capsys.readouterr()
        self.code = cli.main(["win-score", *map(str, arguments)])
        self.out, self.err = capsys.readouterr()

    @property
    def figures(self) -> dict:
        return json.loads(self.out)


@pytest.fixture
def win_score(capsys, tmp_path):
    def run(first: list[dict], second: list[dict], *arguments: object) -> Scored:
        files = [write_jsonl(tmp_path / name, rows) for name, rows in (("1.jsonl", first), ("2.jsonl", second))]
        return Scored(capsys, *files, *arguments)

    return run


def numbers(name: str, a: float | None, b: float | None, **more: Any) -> dict:
    return {"id": name, "score_a": a, "score_b": b, **more}


# Wins, a tie by contradiction, a tie, a loss: the pairs of the definition.
FIRST = [numbers("q1", 8, 7), numbers("q2", 8, 7), numbers("q3", 7, 7), numbers("q4", 6, 8)]
SECOND = [numbers("q1", 8, 8), numbers("q2", 6, 8), numbers("q3", 7, 7), numbers("q4", 7, 7)]


def test_questions_are_counted_and_matched_by_their_id(win_score):
    figures = win_score(FIRST, SECOND[::-1], "--json").figures
    assert [figures[name] for name in ("questions", "wins", "ties", "losses", "win_score")] == [4, 1, 2, 1, 1.0]
    assert figures["contradictions"] == 1
    assert figures["low"] < 1 < figures["high"]
    assert figures["sets"] == {}


def test_the_judges_own_words_are_read_in_the_order_in_which_answers_were_shown(win_score):
    first = [{"id": row["id"], "judgement": f"{row['score_a']} {row['score_b']}\nBecause."} for row in FIRST]
    second = [{"id": row["id"], "judgement": f"{row['score_b']} {row['score_a']}\nBecause."} for row in SECOND]
    assert win_score(first, second, "--json").figures == win_score(FIRST, SECOND, "--json").figures


def test_sets_have_figures_of_their_own_and_questions_are_pooled(win_score):
    rows = [numbers(n, 9, 1, set="koala") for n in range(3)] + [numbers(0, 1, 9, set="vicuna")]
    found = win_score(rows, rows, "--json").figures
    assert {name: (part["questions"], part["win_score"]) for name, part in found["sets"].items()} == {
        "koala": (3, 2.0),
        "vicuna": (1, 0.0),
    }
    # Not 1.0, the mean over sets.
    assert found["win_score"] == 1.5
    table = win_score(rows, rows).out.splitlines()
    assert [line.split()[0] for line in table[1:4]] == ["koala", "vicuna", "all"]
    assert "1.5000" in table[3]


def test_judgements_without_scores_are_told_and_tie_or_leave_their_question_out(win_score):
    first = [numbers("q1", 8, 7), numbers("q2", None, None), {"id": "q3", "judgement": "Both are fine."}]
    second = [numbers("q1", 8, 7), numbers("q2", 8, 7), numbers("q3", -1, -1)]
    tied = win_score(first, second)
    assert "3 of 6 judgements do not have two scores; they count as ties in their order" in tied.out
    figures = win_score(first, second, "--json").figures
    assert [figures[name] for name in ("wins", "ties", "losses", "unreadable_judgements")] == [2, 1, 0, 3]
    excluded = win_score(first, second, "--unreadable", "exclude", "--json").figures
    assert [excluded[name] for name in ("questions", "wins", "unreadable_judgements")] == [1, 1, 3]
    assert excluded["low"] is None


@pytest.mark.parametrize(
    ("first", "second", "sentence"),
    [
        (FIRST, SECOND[:3], "2.jsonl has no row for question q4"),
        (FIRST[:3], SECOND, "1.jsonl has no row for question q4"),
        ([numbers("q", 1, 2, set="koala")], [numbers("q", 1, 2)], "no row for question q of koala"),
        ([*FIRST, FIRST[0]], SECOND, "row 5: question q1 appears twice"),
        ([{"score_a": 1, "score_b": 2}], SECOND, "row 1: id must name the question, got None"),
        ([{"id": "q1", "score_a": 1}], SECOND, "either score_a and score_b, or judgement"),
        ([{**FIRST[0], "judgement": "8 7"}], SECOND, "either score_a and score_b, or judgement"),
        ([numbers("q1", "8", 7)], SECOND, "score_a must be a number or null, got '8'"),
        ([{"id": "q1", "judgement": [8, 7]}], SECOND, "judgement must be the answer of the judge as text"),
        ([], [], "have no rows"),
    ],
)
def test_files_that_cannot_be_compared_are_refused_in_a_sentence(win_score, first, second, sentence):
    found = win_score(first, second)
    assert found.code == 1
    assert sentence in found.err
    assert not found.out


def test_nothing_that_counts_and_no_file(win_score, capsys, tmp_path):
    blank = [numbers("q1", None, None)]
    assert "No question counts" in win_score(blank, blank, "--unreadable", "exclude").err
    assert "There is no file" in Scored(capsys, tmp_path / "none.jsonl", tmp_path / "1.jsonl").err
    # A judge of one order twice would look as if it had no favourite place.
    assert "each order needs its own file" in Scored(capsys, tmp_path / "1.jsonl", tmp_path / "1.jsonl").err
