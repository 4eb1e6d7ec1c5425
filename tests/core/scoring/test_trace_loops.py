"""Loops in reasoning traces."""

import time

import numpy as np
import pytest
from sklearn.metrics import roc_auc_score

from mergeit_ops.core.scoring.trace_loops import loop_score
from tests.core.scoring.traces import LOOPS, NATURAL, planted


@pytest.mark.parametrize("loop", list(LOOPS))
def test_planted_loops_are_told_from_traces_that_repeat_themselves_rightly(loop):
    natural = [loop_score(trace) for trace in NATURAL]
    looping = [loop_score(trace) for name, trace in planted() if name == loop]
    assert len(looping) == 2 * len(NATURAL)
    assert roc_auc_score([0] * len(natural) + [1] * len(looping), natural + looping) >= 0.95


@pytest.mark.parametrize("number", range(len(NATURAL)))
def test_a_trace_without_a_loop_scores_nearly_nothing(number):
    assert loop_score(NATURAL[number]) < 0.1


@pytest.mark.parametrize(
    ("text", "score"),
    [
        ("", 0.0),
        ("?!", 0.0),
        ("one", 0.0),
        # 9 words three times: 18 of 27 words repeat, and a window has at least 48.
        ("the cat sat on the mat and slept well. " * 3, 18 / 48),
        # 12 words twice count; 11 do not.
        ("one two three four five six seven eight nine ten eleven twelve " * 2, 12 / 48),
        ("one two three four five six seven eight nine ten eleven " * 2, 0.0),
        # Beyond the window, all of it repeats.
        ("wait no " * 200, 1.0),
        # Case, line breaks and signs do not count.
        ("Wait, no. " * 3 + "\n\nWAIT -- NO! " * 3, 10 / 48),
        # 128 numbers and 32 letters may repeat.
        ("0 " * 129, 0.0),
        ("0 " * 149, 20 / 128),
        ("x = 1, " * 17, 0.0),
        ("x = 1, " * 22, 10 / 48),
        # Each character of a script without spaces is a word.
        ("再检查一遍。" * 9, 40 / 48),
        # A word, or a row of signs, that never ends.
        ("a" * 10_000, 1.0),
        ("!" * 20_000, 1.0),
        ("-" * 60, 0.0),
    ],
)
def test_the_score_is_the_share_of_repeated_words_in_the_worst_window(text, score):
    assert loop_score(text) == pytest.approx(score)


def test_a_loop_counts_the_same_wherever_it_stands():
    rng = np.random.default_rng(0)
    words = [" ".join(f"word{number}" for number in rng.permutation(3_000)) for _ in range(2)]
    loop = "so the second term must be larger than the first one but it is not. " * 6
    scores = {loop_score(text) for text in (loop + words[0], words[0] + loop, f"{words[0]} {loop} {words[1]}")}
    assert scores == {5 * 15 / 128}


def test_a_long_loop_whose_parts_share_words_is_found():
    unit = "let me check whether three divides the number. let me check whether three divides the sum of it. "
    assert loop_score("First of all something else. " + unit * 8) > 0.9


def test_a_paragraph_that_comes_back_between_others_is_found():
    said = (
        "the speed of the train is the distance over the time so if the distance is given in miles we must turn the "
        "hours into minutes first and only then divide by it. "
    )
    rng = np.random.default_rng(1)
    others = [" ".join(f"word{number}" for number in rng.integers(0, 10_000, 40)) + ". " for _ in range(6)]
    assert loop_score("".join(said + other for other in others)) > 0.3
    assert loop_score("".join(said + other for other in others[:3])) == 0.0


@pytest.mark.parametrize(
    "text",
    [
        "wait, that is not right. " * 40_000,
        "a" * 1_000_000,
        "ab ba " * 170_000,
        " ".join(map(str, range(150_000))),
        " ".join(np.random.default_rng(0).choice(["aa", "bb", "cc"], 300_000)),
        "再检查" * 300_000,
    ],
)
def test_a_megabyte_takes_no_quadratic_time(text):
    began = time.perf_counter()
    loop_score(text)
    assert time.perf_counter() - began < 10
