"""`verify` accepts rows with a column of any type that the form of the export can hold."""

from __future__ import annotations

import datetime as dt
from collections.abc import Collection
from decimal import Decimal
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import verify
from tests.recipe_runs import run_recipe, run_recipe_on_ray, write_recipe

ROWS = 12
MOMENT = dt.datetime(2024, 1, 13, 9, 8, 7, 654321)
STRUCT = pa.struct({"since": pa.timestamp("us"), "until": pa.date32()})

COLUMNS = {
    "date": pa.array([MOMENT.date(), None] * 6, pa.date32()),
    "date64": pa.array([MOMENT.date()] * ROWS, pa.date64()),
    "seconds": pa.array([MOMENT.replace(microsecond=0)] * ROWS, pa.timestamp("s")),
    "milliseconds": pa.array([None, MOMENT.replace(microsecond=654000)] * 6, pa.timestamp("ms")),
    "microseconds": pa.array([MOMENT] * ROWS, pa.timestamp("us")),
    "nanoseconds": pa.array([1_705_136_887_654_321_000] * ROWS, pa.timestamp("ns")),
    "in a zone": pa.array([MOMENT] * ROWS, pa.timestamp("us", "Asia/Tokyo")),
    "before 1970": pa.array([dt.datetime(1969, 7, 20, 20, 17)] * ROWS, pa.timestamp("us")),
    "time of day": pa.array([MOMENT.time(), None] * 6, pa.time64("us")),
    "struct": pa.array([{"since": MOMENT, "until": None}, None] * 6, STRUCT),
    "list": pa.array([[MOMENT.date()], [], None] * 4, pa.list_(pa.date32())),
    "list of structs": pa.array([[{"since": MOMENT, "until": MOMENT.date()}], []] * 6, pa.list_(STRUCT)),
    "not a number": pa.array([float("nan"), 1.5] * 6),
    "integer beside null": pa.array([7, None] * 6),
    "half": pa.array(np.full(ROWS, 0.1, dtype=np.float16)),
    "category": pa.array(["a", "b"] * 6).dictionary_encode(),
    "decimal": pa.array([Decimal("1.50")] * ROWS),
    "duration": pa.array([dt.timedelta(days=1, milliseconds=5)] * ROWS),
}
NOT_IN_JSON = ("time of day", "decimal", "duration")
NOT_IN_JSON_ON_RAY = (*NOT_IN_JSON, "date", "date64")


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
def test_every_type_is_what_it_was(tmp_path, suffix):
    data = _dataset(tmp_path, () if suffix == "parquet" else NOT_IN_JSON)
    export = run_recipe(_recipe(tmp_path, data), "--export_path", str(tmp_path / "out" / f"export.{suffix}"))
    _assert_accepted(data, export)


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("suffix", ["jsonl", "parquet"])
def test_so_it_is_on_ray(tmp_path, suffix):
    data = _dataset(tmp_path, () if suffix == "parquet" else NOT_IN_JSON_ON_RAY)
    out = ("--export_path", str(tmp_path / "out" / "export"), "--export_type", suffix)
    _assert_accepted(data, run_recipe_on_ray(_recipe(tmp_path, data), *out))


def _dataset(folder: Path, without: Collection[str]) -> Path:
    vectors = np.eye(8, dtype=np.float32)[np.arange(ROWS) % 8]
    columns: dict[str, Any] = {
        "instruction": [f"Question {number}?" for number in range(ROWS)],
        "input": [""] * ROWS,
        "output": [f"Answer {number}." for number in range(ROWS)],
        EMBEDDING: encode_vectors(vectors),
    }
    columns |= {name: column for name, column in COLUMNS.items() if name not in without}
    pq.write_table(pa.table(columns), folder / "in.parquet")
    return folder / "in.parquet"


def _recipe(folder: Path, data: Path) -> Path:
    process = [
        {"topic_cluster_grouper": {"num_clusters": 2}},
        {"facility_location_selector": {"select_ratio": 1.0}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat"}},
        {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", "gamma": 0.1}},
    ]
    return write_recipe(folder, process, data, text_keys="instruction", export_path=None)


def _assert_accepted(data: Path, export: Path) -> None:
    found = verify(read_run(export), read_input(data))
    assert found.holds, [found.headline, *found.violations, *found.undecided]
    assert found.counts["original"]
    assert any(number for name, number in found.counts.items() if name.startswith("merged")), found.counts


@pytest.mark.parametrize("suffix", ["jsonl", "json"])
def test_a_flat_selection_of_rows_with_times_is_not_called_a_loss(tmp_path, suffix):
    data = _dataset(tmp_path, [name for name in COLUMNS if name not in ("date", "microseconds", "struct")])
    process = [{"facility_location_selector": {"select_num": 6}}]
    recipe = write_recipe(tmp_path, process, data, text_keys="instruction", export_path=None)
    export = run_recipe(recipe, "--export_path", str(tmp_path / "out" / f"export.{suffix}"))
    found = verify(read_run(export), read_input(data))
    assert found.violations == []
