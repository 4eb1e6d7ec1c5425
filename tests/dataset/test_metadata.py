"""Metadata of rows, in whichever form they are stored."""

import pyarrow as pa

from mergeit_ops.core.columns import META
from mergeit_ops.dataset.metadata import metas_of
from mergeit_ops.dataset.tables import json_array


def test_metadata_come_from_json_and_from_structs_and_may_be_missing():
    assert metas_of(pa.table({"a": [1, 2]})) == [{}, {}]
    assert metas_of(pa.table({META: json_array([{"lang": "en"}, {}])})) == [{"lang": "en"}, {}]
    assert metas_of(pa.table({META: [{"lang": "en"}, None]})) == [{"lang": "en"}, {}]
