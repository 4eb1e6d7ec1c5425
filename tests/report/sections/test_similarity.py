"""Similarity of merged rows: each merge counts once, accepted or not."""

from __future__ import annotations

from mergeit_ops.report.sections.similarity import build
from tests.report.exports import merged, original, restored, surveyed, write_export


def test_each_merge_counts_once(tmp_path):
    rows = [merged(0, "a", similarity=0.5), merged(0, "b", similarity=0.9), *restored(0, "c"), original(0, "x")]
    data = build(surveyed(write_export(tmp_path / "e.jsonl", rows))).data
    assert data["gated"]
    assert data["medians"] == {"accepted": 0.7, "rejected": 0.6}
    assert {name: sum(counts) for name, counts in data["counts"].items()} == {"accepted": 2, "rejected": 1}


def test_merges_that_no_gate_scored_were_made(tmp_path):
    data = build(surveyed(write_export(tmp_path / "e.jsonl", [merged(0, "a", None, None)]))).data
    assert not data["gated"]
    assert data["medians"] == {"accepted": 0.7, "rejected": None}


def test_without_merges_there_is_no_section(tmp_path):
    assert build(surveyed(write_export(tmp_path / "e.jsonl", [original(0, "x")]))) is None
