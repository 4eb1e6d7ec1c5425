"""The merges that a page shows whole: the worst, the best, and a sample of the others."""

from __future__ import annotations

from dataclasses import replace

import pytest

from mergeit_ops.report.merge_texts import chosen, texts_of, within
from mergeit_ops.runs import read_run
from tests.report.exports import content, merged, restored, surveyed, write_export


def test_where_not_all_merges_fit_the_worst_and_the_best_are_shown(tmp_path):
    rows = [merged(0, f"m{i}", 2.0, 2.0 + i / 100, text=content("x", "y" * 900)) for i in range(60)]
    run = read_run(write_export(tmp_path / "e.jsonl", rows))
    merges = surveyed(run.export).survey.merges
    keys = chosen(merges)
    assert sorted(keys) == list(range(1, 61))
    assert keys == chosen(merges)
    assert chosen(merges, 20) == keys[:20]
    fitting = within(texts_of(run.rows(), run.layout(), merges, keys), 20_000)
    assert 4 < len(fitting) < 30
    assert sum(shown.size for shown in fitting) <= 20_000
    ratios = [shown.figures.ratio for shown in fitting]
    assert min(ratios) == 1.0
    assert max(ratios) == pytest.approx(2.59 / 2)
    assert any(1.05 < ratio < 1.24 for ratio in ratios)


def test_a_rejected_merge_is_shown_with_both_parents(tmp_path):
    run = read_run(write_export(tmp_path / "e.jsonl", restored(0, "b")))
    merges = surveyed(run.export).survey.merges
    (shown,) = texts_of(run.rows(), run.layout(), merges, chosen(merges))
    assert shown.merged[0] == "Both of b, badly."
    assert [parent[0] for parent in shown.parents] == ["First of b.", "Second of b."]
    assert shown.figures == replace(shown.figures, rejected="score", parents=2, before=2.0, after=1.0)
