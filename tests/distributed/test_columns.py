"""Metadata, stats and batch metadata at Ray's boundary."""

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import BATCH_META, META, STATS
from mergeit_ops.core.rows import rewrites, sources
from mergeit_ops.core.rows.lineage import lineage, quality_stats
from mergeit_ops.dataset.stats import GATE_STATS
from mergeit_ops.dataset.tables import json_array, python_rows
from mergeit_ops.distributed.columns import alike, with_json, with_structs, without_others_stats

LINEAGE = lineage(topic_id=1, row_id="a", row_order=0)
NOTHING = pa.schema([])


def structs(name, rows, earlier=NOTHING, **more):
    return with_structs(pa.table({name: json_array(rows)}), earlier, **more)


def test_every_key_of_the_merger_has_its_type_also_where_it_is_null():
    kinds = [structs(META, rows).schema for rows in ([LINEAGE], [LINEAGE | {"merge_error": "refused"}] * 2)]
    assert kinds[0] == kinds[1]
    assert kinds[0].field(META).type.field("merge_similarity").type == pa.float64()
    assert structs(META, [LINEAGE])[META][0].as_py()["row_id"] == "a"


def test_keys_that_only_the_grouper_writes_stay_alone():
    kind = structs(META, [{"topic_id": 1, "row_id": "a"}]).schema.field(META).type
    assert {field.name for field in kind} == {"topic_id", "row_id"}


def test_keys_of_a_rewriting_have_their_types_and_stay_away_from_other_rows():
    kind = structs(META, [rewrites.kept({}, None)]).schema.field(META).type
    assert {field.name for field in kind} == set(rewrites.KEYS)
    assert kind.field("nodes_added").type == pa.int64()
    assert kind.field("rewrite_parent").type == pa.string()
    assert structs(META, [LINEAGE]).schema.field(META).type.get_field_index("rewrite_status") < 0
    both = structs(META, [rewrites.kept(LINEAGE, "length")]).schema.field(META).type
    assert both.field("merge_similarity").type == pa.float64()
    assert both.field("rewrite_parent").type == pa.string()


def test_keys_that_rows_brought_keep_their_types():
    earlier = pa.schema({STATS: pa.struct({"num_words": pa.int32()})})
    kind = structs(STATS, [{"num_words": 3, **quality_stats()}], earlier).schema.field(STATS).type
    assert kind.field("num_words").type == pa.int32()
    assert {field.name for field in kind} == {"num_words", *GATE_STATS}


def test_stats_of_another_operator_are_those_that_it_says():
    kind = structs(STATS, [{"mine": None}], stats={"mine": pa.float64()}).schema.field(STATS).type
    assert kind == pa.struct({"mine": pa.float64()})


def test_values_without_a_common_type_become_text():
    assert structs(META, [{"x": 1}, {"x": "a"}])[META].to_pylist() == [{"x": "1"}, {"x": '"a"'}]
    assert structs(META, [{}, {}])[META].to_pylist() == [{}, {}]
    assert structs(META, []).num_rows == 0


def test_metadata_that_came_as_text_are_json():
    table = with_json(pa.table({META: ['{"a": 1}', None, ""], "text": ["x", "y", "z"]}))
    assert [row[META] for row in python_rows(table)] == [{"a": 1}, {}, {}]
    kept = pa.table({META: [{"a": 1}], "text": ["x"]})
    assert with_json(kept) == kept


def test_a_table_takes_the_columns_and_types_of_all_blocks():
    schema = pa.schema({"a": pa.float64(), "b": pa.string()})
    assert alike(pa.table({"a": [1]}), schema).to_pydict() == {"a": [1.0], "b": [None]}
    assert alike(pa.table({"b": ["x"], "a": [0.5]}), schema).column_names == ["a", "b"]
    with pytest.raises(pa.ArrowException):
        alike(pa.table({"b": [{"c": 1}]}), schema)


def test_only_rows_of_the_merger_lose_the_stats_of_other_filters():
    stats = [{"num_words": 3}]
    merged = pa.table({META: [LINEAGE], STATS: stats})
    assert [row[STATS] for row in python_rows(without_others_stats(merged))] == [{}]
    for kept in (
        pa.table({META: [{"topic_id": 1}], STATS: stats}),
        pa.table({STATS: stats}),
        pa.table({META: [LINEAGE], STATS: json_array(stats)}),
    ):
        assert without_others_stats(kept) is kept


def test_batch_metadata_have_their_types():
    kind = structs(BATCH_META, [{"topic_id": 1, "batch_size": 2}]).schema.field(BATCH_META).type
    assert kind == pa.struct({"batch_size": pa.int64(), "topic_id": pa.int64()})


def test_keys_of_a_sample_made_of_a_text_are_texts_also_where_all_are_null():
    noted = sources.noted({}, status="bad_row", source=None, source_id="a", method="instruction")
    kind = structs(META, [noted]).schema.field(META).type
    assert {field.name: field.type for field in kind} == dict.fromkeys(sources.KEYS, pa.string())
