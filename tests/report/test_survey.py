"""One pass over an export: what became of its rows, per topic and per merge."""

import math
from pathlib import Path

import pytest

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.report.survey import input_points, survey
from mergeit_ops.runs.rows import ExportRow, Lineage, Quality, content_of
from tests.report.exports import content, merged, original, restored

LAYOUT = resolve_format("alpaca", ["instruction", "input", "output"])


def surveyed(*rows, layout=LAYOUT, sample=100):
    export = []
    for number, row in enumerate(rows, start=1):
        known = Lineage(row.get(META) or {}), Quality(row.get(STATS) or {})
        export.append(ExportRow(number, Path("x"), number, content_of(row), *known))
    return survey([(row, None) for row in export], layout, sample, 0)


def test_rows_are_counted_by_what_became_of_them_and_by_topic():
    found = surveyed(original(0, "a"), merged(0, "m"), restored(1, "r")[0], content("bare"))
    assert found.rows == 4
    assert found.statuses == {"original": 1, "merged": 1, "restored": 1, "without lineage": 1}
    assert set(found.topics) == {0, 1}
    topic = found.topics[0]
    assert (topic.rows, topic.entered, topic.merged, topic.restored) == (2, 3, 1, 0)


def test_a_rejected_merge_is_told_once_by_its_parents():
    found = surveyed(*restored(0, "r"), merged(0, "m", before=2.0, after=3.0))
    (rejected,) = found.rejected
    assert (rejected.parents, rejected.key) == (2, 1)
    (accepted,) = found.accepted
    assert (accepted.ratio, accepted.scored, accepted.parents) == (1.5, True, 2)
    assert found.gated
    assert found.rows_entered == 4


def test_failed_merges_are_counted_by_group_and_rows_never_offered_one_by_one():
    found = surveyed(
        original(0, "a", group_id="g", error="refused"),
        original(0, "b", group_id="g", error="refused"),
        original(0, "c", error="bad_row"),
        original(0, "d", error="bad_row"),
    )
    assert found.failed == {"refused": 1}
    assert found.unmergeable == {"bad_row": 2}


@pytest.mark.parametrize("score", [None, math.nan, math.inf, "high"])
def test_a_score_that_is_no_number_counts_nowhere(score):
    row = original(0, "a")
    row[STATS] = row[STATS] | {"quality_score": score}
    topic = surveyed(row).topics[0]
    assert (topic.scored, topic.mean_quality) == (0, None)


def test_the_mean_quality_of_a_topic_is_that_of_its_scored_rows():
    rows = [original(0, name) for name in "abc"]
    for row, score in zip(rows, (2.0, 5.0, None), strict=True):
        row[STATS] = row[STATS] | {"quality_score": score}
    assert surveyed(*rows).topics[0].mean_quality == 3.5


def test_rows_before_merging_are_those_of_the_export_and_those_inside_merges():
    found = surveyed(original(0, "a"), merged(0, "m"))
    assert len(found.points.below()) == 2
    assert len(found.entered.below()) == 3
    assert len(surveyed(original(0, "a"), layout=None).points.below()) == 0
    assert len(surveyed(*(original(0, name) for name in "abcdefg"), sample=3).points.below()) == 3


def test_a_sample_of_the_input_has_the_keys_of_a_survey():
    rows = [content(f"question {number}") for number in range(20)]
    found = input_points(rows, LAYOUT, 5, 0)
    turned = input_points(rows[::-1], LAYOUT, 5, 0)
    assert len(found.below()) == 5
    assert {point.query for point in found.below()} == {point.query for point in turned.below()}


def test_no_rows_have_nothing():
    found = surveyed()
    assert (found.rows, found.rows_entered, found.merges, found.gated) == (0, 0, [], False)
