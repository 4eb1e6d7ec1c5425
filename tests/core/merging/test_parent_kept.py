"""What a merge keeps of its parents."""

from __future__ import annotations

import importlib.util
import json
from pathlib import Path

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.merging.parent_kept import least_kept, parents_kept
from mergeit_ops.core.sample import Sample

BENCHMARK = Path(__file__).resolve().parents[3] / "benchmarks" / "parents_kept.py"

WHY = Sample("Why does bread dough rest?", "", "Resting lets the gluten relax.")
TRANSLATE = Sample("Translate the sentence into French.", "The library is closed.", "La bibliothèque est fermée.")
BOTH = Sample(
    "Translate the sentence into French, and say why bread dough rests.",
    "The library is closed.",
    "La bibliothèque est fermée. Dough rests because resting lets its gluten relax.",
)


def test_a_merge_that_keeps_both_keeps_nearly_all_of_each():
    assert least_kept([WHY, TRANSLATE], BOTH) > 0.9


@pytest.mark.parametrize(
    ("change", "reason"),
    [
        ({"instruction": "Say why bread dough rests."}, "demand"),
        ({"input": ""}, "input"),
        ({"output": "Dough rests because resting lets its gluten relax."}, "answer"),
    ],
)
def test_what_was_left_out_is_named(change, reason):
    merged = Sample(**{"instruction": BOTH.instruction, "input": BOTH.input, "output": BOTH.output} | change)
    why, translate = parents_kept([WHY, TRANSLATE], merged)
    assert why.share > 0.9
    assert translate.share < 0.3
    assert translate.weakest == reason


def test_words_that_both_parents_have_say_little():
    """The words of the lost parent that the other one has too are all there, and only they."""
    mean = Sample("Give the mean of the numbers 15 and 20.", "", "The mean of the numbers is 17.5.")
    other = Sample("Give the mean of the numbers 4 and 8.", "", "The mean of the numbers is 6.")
    kept, lost = parents_kept([mean, other], mean)
    assert kept.share == 1
    assert lost.share < 0.4


@pytest.mark.parametrize(
    ("answer", "output", "share"),
    [
        ("Running.", "Running, and runningly.", 1),
        ("Running.", "runningly", 0),
        ("22.5", "The mean is 22.5.", 1),
        ("1,500", "It is 1500.", 1),
        ("22.5", "The mean is 27.5.", 0),
        ("x = 2", "Here, x is 2.", 0),
        ("猫", "猫と犬", 1),
        ("?", "!", 0),
    ],
)
def test_a_short_answer_must_be_there_word_for_word(answer, output, share):
    (kept,) = parents_kept([Sample("a", "", answer)], Sample("a", "", output))
    assert kept.answer == share


def test_an_input_that_gives_the_answer_away_is_a_lost_one():
    merged = Sample(BOTH.instruction, f"{BOTH.input} Resting lets the gluten relax.", BOTH.output)
    why, translate = parents_kept([WHY, TRANSLATE], merged)
    assert (why.weakest, why.share) == ("input", 0)
    assert translate.share > 0.9


def test_an_answer_made_of_its_material_is_not_given_away():
    sort = Sample("Sort the words.", "pear apple plum", "apple pear plum")
    count = Sample("Count the words.", "one red fox", "3")
    merged = Sample(
        "Sort the words of A, count those of B.", "A: pear apple plum\nB: one red fox", "apple pear plum\n3"
    )
    assert least_kept([sort, count], merged) > 0.6


def test_the_numbers_of_list_items_are_no_content():
    answer = "1. Boil water.\n2. Add salt.\n3. Stir well."
    (kept,) = parents_kept([Sample("a", "", answer)], Sample("a", "", "Boil water, add salt, and stir well."))
    assert kept.answer == 1


TEXTS = st.text(alphabet=st.sampled_from("ab c1,.\n猫?é"), max_size=30)
SAMPLES = st.builds(Sample, TEXTS, TEXTS, TEXTS)


@given(st.lists(SAMPLES, min_size=1, max_size=3), SAMPLES)
def test_shares_are_shares_and_depend_on_nothing_else(parents, merged):
    kept = parents_kept(parents, merged)
    assert all(0 <= share <= 1 for parent in kept for share in parent.shares().values())
    assert parents_kept(parents, merged) == kept
    assert list(reversed(parents_kept(list(reversed(parents)), merged))) == kept


@given(SAMPLES)
def test_a_row_keeps_all_it_asks_and_answers_itself(sample):
    (kept,) = parents_kept([sample], sample)
    assert (kept.demand, kept.answer) == (1, 1)


def test_merges_that_dropped_a_parent_are_told_from_those_that_kept_both(tmp_path, sample_rows):
    """Every way of keeping against every way of dropping, on pairs of the sample that ships."""
    spec = importlib.util.spec_from_file_location("parents_kept", BENCHMARK)
    benchmark = importlib.util.module_from_spec(spec)
    spec.loader.exec_module(benchmark)
    rows = sorted(sample_rows, key=lambda row: row["source"])[:200]
    file = tmp_path / "rows.jsonl"
    file.write_text("".join(json.dumps(row) + "\n" for row in rows), encoding="utf-8")
    shares = benchmark.measure(file, pairs=48)
    assert benchmark.separation(shares).min() >= 0.9
