"""What is said of a column type against what Data-Juicer's exporters do with it."""

import datetime
import decimal
import json
from dataclasses import replace

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import BATCH_META, META, STATS
from mergeit_ops.dataset.export_types import ExportFormat, complaint, unwritable_columns

MOMENT = datetime.datetime(2020, 1, 2, 3, 4)
LEAVES = {
    "decimal128": pa.array([decimal.Decimal("1.5"), None]),
    "decimal256": pa.array([decimal.Decimal("1.5"), None], pa.decimal256(40, 2)),
    "binary": pa.array([b"\xff\x00", None]),
    "large_binary": pa.array([b"\xff\x00", None], pa.large_binary()),
    "fixed_size_binary": pa.array([b"\xff\x00", None], pa.binary(2)),
    "time32": pa.array([MOMENT.time(), None], pa.time32("s")),
    "time64": pa.array([5, None], pa.time64("ns")),
    "duration": pa.array([datetime.timedelta(days=1), None]),
    "date32": pa.array([MOMENT.date(), None]),
    "date64": pa.array([MOMENT.date(), None], pa.date64()),
    "timestamp": pa.array([MOMENT, None]),
    "timestamp_of_a_zone": pa.array([MOMENT, None], pa.timestamp("ms", "UTC")),
    "string": pa.array(["a", None]),
    "large_string": pa.array(["a", None], pa.large_string()),
    "int64": pa.array([1, None]),
    "uint64": pa.array([2**64 - 1, None], pa.uint64()),
    "float16": pa.array([1.0, None], pa.float16()),
    "bool": pa.array([True, None]),
    "null": pa.nulls(2),
    "empty_struct": pa.array([{}, None], pa.struct([])),
    "json": pa.array(['{"a":1}', None]).cast(pa.json_()),
}


def listed(values: pa.Array) -> pa.Array:
    return pa.ListArray.from_arrays(pa.array([0, 1, 2]), values)


def in_struct(values: pa.Array) -> pa.Array:
    return pa.StructArray.from_arrays([values, pa.array([1, 2])], ["part", "other"])


NESTINGS = {
    "flat": lambda values: values,
    "in a list": listed,
    "in a list of structs": lambda values: listed(in_struct(values)),
    "in a struct of lists": lambda values: in_struct(listed(values)),
}
CASES = [
    pytest.param(nest(values), id=f"{kind} {name}")
    for kind, values in LEAVES.items()
    for name, nest in NESTINGS.items()
    # Arrow builds no lists and structs of its JSON.
    if kind != "json" or name == "flat"
]
# What .json makes of these is another value: text, or a number of milliseconds.
CHANGED = (pa.types.is_decimal, pa.types.is_time, pa.types.is_duration)


def leaf_types(kind: pa.DataType) -> list[pa.DataType]:
    inner = [leaf_types(kind.field(number).type) for number in range(kind.num_fields)]
    return [kind, *(part for parts in inner for part in parts)]


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("values", CASES)
def test_the_default_exporter_writes_what_is_not_complained_of(tmp_path, values, suffix):
    from data_juicer.core.data import NestedDataset
    from data_juicer.core.exporter import Exporter
    from datasets import Dataset

    table = pa.table({"instruction": ["x", "y"], "column": values})
    path = tmp_path / f"export.{suffix}"
    try:
        Exporter(str(path), export_stats=False).export(NestedDataset(Dataset(table)))
        written = True
        if suffix == "json":
            json.loads(path.read_text(encoding="utf-8"))
            written = not any(holds(kind) for kind in leaf_types(values.type) for holds in CHANGED)
    except (TypeError, UnicodeDecodeError, pa.ArrowInvalid, pa.ArrowNotImplementedError):
        written = False
    assert unwritable_columns(table.schema, ExportFormat(suffix)).keys() == (set() if written else {"column"})


def schema_of(values: pa.Array) -> pa.Schema:
    return pa.schema({"instruction": pa.string(), "column": values.type})


@pytest.mark.parametrize(
    ("kind", "cure"),
    [("binary", "export to .parquet"), ("decimal128", "export to .parquet"), ("empty_struct", "export to .jsonl")],
)
@pytest.mark.parametrize("nest", NESTINGS.values(), ids=NESTINGS)
def test_the_sentence_names_column_type_and_cure(kind, cure, nest):
    values = nest(LEAVES[kind])
    export = ExportFormat("parquet" if kind == "empty_struct" else "jsonl")
    said = complaint(schema_of(values), export)
    assert "'column'" in said
    assert str(LEAVES[kind].type) in said
    assert cure in said


def test_no_format_is_named_that_cannot_hold_the_dataset_either():
    schema = pa.schema({"none": pa.struct([]), "picture": pa.binary()})
    said = complaint(schema, ExportFormat("jsonl"))
    assert "export to .parquet" not in said
    assert "'picture' (binary); remove or convert the column in the dataset" in said


def test_all_columns_are_named_at_once():
    schema = pa.schema({"picture": pa.binary(), "price": pa.decimal128(5, 2), "text": pa.string()})
    said = complaint(schema, ExportFormat("json"))
    assert "columns 'picture' (binary), 'price' (decimal128(5, 2))" in said


def test_a_column_of_topics_is_what_comes_out_of_it():
    schema = pa.schema({"text": pa.list_(pa.string()), "when": pa.list_(pa.date32()), BATCH_META: pa.binary()})
    assert unwritable_columns(schema, ExportFormat("csv", on_ray=True)) == {}
    assert unwritable_columns(schema, ExportFormat("jsonl", on_ray=True)) == {"when": "date32[day]"}


def test_columns_that_data_juicer_takes_away_do_not_count():
    schema = pa.schema({"text": pa.string(), META: pa.struct({"topic_id": pa.int64()})})
    export = ExportFormat("csv", on_ray=True)
    assert "set keep_stats_in_res_ds to false" in complaint(schema, export)
    assert complaint(schema, replace(export, left_out=frozenset([META]))) is None


@pytest.mark.parametrize(
    ("path", "export_type", "executor", "name"),
    [
        ("out/export.jsonl", None, "default", "jsonl"),
        ("out/export.JSON", None, "default", "json"),
        ("out/export.jsonl", "parquet", "default", "parquet"),
        ("out/export", "json", "default", "json"),
        ("out.d/export", None, "ray", "jsonl"),
        ("out/export.parquet", None, "ray_partitioned", "parquet"),
        ("out/export", "csv", "ray", "csv"),
        ("out/export", None, "default", None),
        (None, "jsonl", "default", None),
    ],
)
def test_the_format_is_found_as_data_juicer_finds_it(path, export_type, executor, name):
    from argparse import Namespace

    from mergeit_ops.dataset.recipe import Recipe

    export = ExportFormat.of(Recipe((), path, (), executor, Namespace(export_type=export_type)))
    assert (export and export.name) == name
    assert export is None or export.on_ray == (executor != "default")


@pytest.mark.parametrize("name", [META, STATS])
def test_what_data_juicer_adds_for_operators_to_fill_does_not_count(name):
    schema = pa.schema({"text": pa.string(), name: pa.struct([])})
    assert complaint(schema, ExportFormat("parquet", on_ray=True)) is None
    assert complaint(schema, ExportFormat("jsonl", on_ray=True)) is None
