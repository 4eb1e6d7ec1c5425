"""Prompt uncertainty: the golden values of section E of the sheet, and which words are dropped."""

import math
from statistics import fmean

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.prompt_uncertainty import prompt_uncertainty, with_words_dropped

SAMPLE = Sample("Name the  four\nlargest cities of the world.", "all words stay", "Tokyo")


@pytest.mark.parametrize(
    ("task", "each", "whole", "likely"),
    [
        ([(0.6, [0.5, 0.4, 0.65]), (0.9, [0.9, 0.8, 0.7])], [0.116667, 0.1], 0.108333, 0.75),
        ([(0.3, [0.35, 0.1, 0.3]), (0.5, [0.5, 0.45, 0.55])], [0.083333, 0.033333], 0.058333, 0.4),
    ],
)
def test_the_golden_tasks(task, each, whole, likely):
    found = [prompt_uncertainty(*instance) for instance in task]
    assert found == pytest.approx(each, abs=1e-6)
    assert fmean(found) == pytest.approx(whole, abs=1e-6)
    assert fmean(probability for probability, _ in task) == pytest.approx(likely)


def test_the_difference_is_absolute():
    """With signs, task A would have -.091667."""
    signed = [fmean(other - p for other in others) for p, others in [(0.6, [0.5, 0.4, 0.65]), (0.9, [0.9, 0.8, 0.7])]]
    assert fmean(signed) == pytest.approx(-0.091667, abs=1e-6)
    assert prompt_uncertainty(0.5, [0.4, 0.6]) == pytest.approx(0.1)


def test_a_probability_is_the_geometric_mean_of_its_tokens():
    assert math.exp(fmean([-0.2, -0.6])) == pytest.approx(0.670320, abs=1e-6)


def test_a_fifth_of_the_words_is_dropped_and_the_rest_stays_as_it_stands():
    texts = with_words_dropped(SAMPLE, 2_000, 0.2, 42)
    words = SAMPLE.instruction.split()
    share = sum(len(text.split()) for text in texts) / (2_000 * len(words))
    assert share == pytest.approx(0.8, abs=0.01)
    assert all(text for text in texts)
    whole = [text for text in texts if len(text.split()) == len(words)]
    assert set(whole) == {SAMPLE.instruction}
    assert "Name four\nlargest cities of the world." in texts


def test_the_draw_depends_on_the_row_and_the_seed_alone():
    first = with_words_dropped(SAMPLE, 10, 0.2, 42)
    assert with_words_dropped(SAMPLE, 10, 0.2, 42) == first
    assert with_words_dropped(SAMPLE, 5, 0.2, 42) == first[:5]
    assert with_words_dropped(SAMPLE, 10, 0.2, 43) != first
    other = Sample(SAMPLE.instruction, SAMPLE.input, "Delhi")
    assert with_words_dropped(other, 10, 0.2, 42) != first


def test_an_instruction_never_loses_all_its_words():
    assert with_words_dropped(Sample("Go", "", "x"), 20, 0.99, 1) == ["Go"] * 20
