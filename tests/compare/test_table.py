"""The table of a terminal: no line is too long, and figures stand below their file."""

from __future__ import annotations

import pytest

from mergeit_ops.compare.measures import BY_KEY
from mergeit_ops.compare.table import as_table
from tests.compare.test_measuring import compared


@pytest.mark.parametrize("files", [1, 2, 8])
def test_it_fits_100_columns_however_many_files(files):
    scores = [{row: 2 + (row + number) % 3 for row in range(20)} for number in range(files)]
    sets = [range(30 * number, 30 * number + 20 + 3 * number) for number in range(files)]
    text = as_table(compared(*sets, scores=scores))
    assert max(map(len, text.splitlines())) <= 100
    # Eight files take several tables, below each other.
    assert text.count("coverage ↑") == {1: 1, 2: 2}.get(files, text.count("redundancy ↓"))
    for number in range(files):
        assert f"s{number}.jsonl" in text


def test_figures_stand_below_their_file():
    lines = as_table(compared([1, 3, 5], range(100))).splitlines()
    head = next(line for line in lines if line.split() == ["A", "B"])
    rows = next(line for line in lines if line.startswith("rows "))
    assert rows.split() == ["rows", "3", "100"]
    assert len(rows) == len(head)
    assert rows.index("3") == head.index("A")


def test_differences_are_of_as_many_rows_and_a_star_marks_what_chance_hardly_makes():
    found = compared(range(40), [*range(20), *[300] * 60])
    lines = as_table(found).splitlines()
    at = next(number for number, line in enumerate(lines) if line.startswith("Difference to A: with 40 rows of each"))
    coverage = next(line for line in lines[at:] if line.startswith("coverage"))
    assert coverage.split()[-1] == f"{found.files[1].equal_differences['coverage'].estimate:+.4f}*"
    distance = next(line for line in lines[at:] if line.startswith("mean distance"))
    assert distance.split()[-1] == f"{found.files[1].differences['distance'].estimate:+.4f}*"
    # The figures above are of as many rows too, so that they tell the same; those of all rows stand below them.
    own = next(line for line in lines if line.startswith("coverage"))
    assert own.split()[-2:] == [f"{found.fair_values(file)['coverage'].estimate:.4f}" for file in found.files]
    of_all = [line.split()[-2:] for line in lines if line.startswith("  all rows")]
    assert len(of_all) == 6
    assert of_all[0][1] == f"{found.files[1].values['coverage'].estimate:.4f}"


@pytest.mark.parametrize(
    ("key", "value", "signed", "text"),
    [
        ("coverage", 0.68344, False, "0.6834"),
        ("redundancy", 0.0268, False, "2.68 %"),
        ("redundancy", -0.005, True, "-0.50 %"),
        ("topics_reached", 67.0, False, "67"),
        ("topics_reached", 66.46, False, "66.5"),
        ("quality", -0.0001, True, "0.000"),
        ("vendi", None, False, "–"),
    ],
)
def test_figures_as_people_read_them(key, value, signed, text):
    assert BY_KEY[key].shown(value, signed=signed) == text
