"""Counts of several sets over the same edges."""

import pytest

from mergeit_ops.report.histogram import histogram


def test_every_number_is_counted_once_and_sets_share_their_edges():
    found = histogram({"a": [0, 1, 2, 3, 8], "b": [8, 8]}, [0, 1, 2, 3, 8, 8, 8])
    assert (found.edges[0], found.edges[-1]) == (0, 8)
    assert len(found.edges) == len(found.counts["a"]) + 1 == 9
    assert found.counts == {"a": [1, 1, 1, 1, 0, 0, 0, 1], "b": [0, 0, 0, 0, 0, 0, 0, 2]}
    assert found.medians == {"a": 2.0, "b": 8.0}


def test_an_empty_set_has_no_median():
    found = histogram({"a": []}, [1.0])
    assert sum(found.counts["a"]) == 0
    assert found.as_data()["medians"] == {"a": None}


@pytest.mark.parametrize(("numbers", "bins"), [(1, 8), (1_000, 20), (100_000, 40)])
def test_more_numbers_have_more_bins_up_to_a_bound(numbers, bins):
    found = histogram({}, range(numbers))
    assert len(found.edges) == bins + 1


def test_equal_numbers_are_all_counted():
    found = histogram({"a": [3.0] * 5}, [3.0] * 5)
    assert sum(found.counts["a"]) == 5
    assert all(isinstance(edge, float) for edge in found.as_data()["edges"])
