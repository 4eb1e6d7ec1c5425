"""Scores of merges and parents, those that passed apart from the others, over the same edges."""

from __future__ import annotations

import pytest

from mergeit_ops.report.sections.quality import build
from tests.report.exports import merged, original, restored, surveyed, write_export


def test_passed_and_rejected_merges_are_counted_apart(tmp_path):
    rows = [merged(0, "a", 1.0, 4.0), merged(0, "b", 2.0, 3.0), *restored(0, "c", 2.0, 1.0), merged(0, "d", None, None)]
    data = build(surveyed(write_export(tmp_path / "e.jsonl", rows))).data
    assert data["accepted"]["medians"] == {"before": 1.5, "after": 3.5}
    assert data["rejected"]["medians"] == {"before": 2.0, "after": 1.0}
    assert data["accepted"]["edges"] == data["rejected"]["edges"]
    assert (data["accepted"]["edges"][0], data["accepted"]["edges"][-1]) == (1.0, 4.0)
    assert {name: sum(counts) for name, counts in data["accepted"]["counts"].items()} == {"before": 2, "after": 2}
    assert {name: sum(counts) for name, counts in data["rejected"]["counts"].items()} == {"before": 1, "after": 1}


@pytest.mark.parametrize("row", [original(0, "x"), merged(0, "a", None, None)])
def test_without_scores_there_is_no_section(tmp_path, row):
    assert build(surveyed(write_export(tmp_path / "e.jsonl", [row]))) is None
