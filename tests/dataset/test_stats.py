"""The stats of rows."""

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.rows.lineage import quality_stats
from mergeit_ops.dataset.stats import GATE_STATS, stats_of
from mergeit_ops.dataset.tables import json_array


@pytest.mark.parametrize("as_json", [True, False])
def test_nulls_are_left_out_however_the_column_is_stored(as_json):
    stats = [{"a": 1, "b": None}, {"a": None, "b": "x"}, None]
    column = json_array(stats) if as_json else pa.array(stats)
    assert stats_of(pa.table({STATS: column})) == [{"a": 1}, {"b": "x"}, {}]


def test_rows_without_the_column_have_none():
    assert stats_of(pa.table({"text": ["a", "b"]})) == [{}, {}]
    assert stats_of(pa.table({STATS: pa.array([], pa.string())})) == []


def test_the_keys_of_the_gate_are_those_that_it_writes():
    assert set(GATE_STATS) == set(quality_stats())
