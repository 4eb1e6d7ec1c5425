"""Kind of the task and style of the answer, as numbers."""

import numpy as np
import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.task_features import TASK_FEATURE_NAMES, TASKS, task_features


def named(instruction: str, output: str, text: str = "") -> dict[str, float]:
    (row,) = task_features([Sample(instruction, text, output)])
    return dict(zip(TASK_FEATURE_NAMES, row.tolist(), strict=True))


@pytest.mark.parametrize(
    ("instruction", "begins", "has"),
    [
        ("Write a poem, and explain it.", {"write"}, {"write", "explain"}),
        ("CONVERT the sum.", {"edit", "calculate"}, {"edit", "calculate"}),
        ("Please summarize what it says.", set(), {"summarize", "ask"}),
        ("写一首诗", set(), set()),
        ("", set(), set()),
    ],
)
def test_the_words_of_an_instruction_tell_its_kind(instruction, begins, has):
    found = named(instruction, "Done.")
    assert {name for name in TASKS if found[f"instruction_begins_{name}"]} == begins
    assert {name for name in TASKS if found[f"instruction_has_{name}"]} == has


def test_the_style_of_an_answer_is_counted_by_hand():
    found = named(
        "Name a city.", 'However, Paris (in France) may really be "growing": 2 of 3 said so!\n\nWhy?', "Paris"
    )
    words = ["however", "paris", "in", "france", "may", "really", "be", "growing", "of", "said", "so", "why"]
    assert found["output_connective_share"] == pytest.approx(1 / len(words))
    assert found["output_hedge_share"] == pytest.approx(1 / len(words))
    assert found["output_commas_per_word"] == pytest.approx(1 / len(words))
    assert found["output_quotes_per_word"] == pytest.approx(2 / len(words))
    assert found["output_ly_share"] == found["output_ing_share"] == pytest.approx(1 / len(words))
    assert found["output_numbers_per_word"] == pytest.approx(2 / len(words))
    assert found["output_names_per_word"] == pytest.approx(2 / len(words))
    assert found["output_has_question"] == found["output_has_exclamation"] == found["output_starts_upper"] == 1
    assert found["output_log_new_words"] == pytest.approx(np.log(12))  # all of the 12 but Paris
    assert found["output_single_use_share"] == 1
    assert found["output_log_paragraph_breaks"] == pytest.approx(np.log(2))
    assert found["output_log_longest_sentence"] == pytest.approx(np.log(14))


def test_the_opening_that_takes_up_the_instruction_counts():
    assert named("Name a city in Peru.", "A city in Peru is Lima.")["output_opening_from_instruction_share"] == 4 / 8


@pytest.mark.parametrize("output", ["", " ", "...", "是", "\ud800", "7", "a" * 100_000, "\n" * 1000])
def test_odd_answers_give_finite_numbers(output):
    assert all(np.isfinite(value) for value in named("", output).values())


def test_no_rows_give_no_rows():
    assert task_features([]).shape == (0, len(TASK_FEATURE_NAMES))
