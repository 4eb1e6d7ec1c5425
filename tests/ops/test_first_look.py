"""What the first of our operators says of a dataset as it arrives: the export's types, the loader's habits."""

from __future__ import annotations

import datetime
import decimal
import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError
from tests.recipe_runs import (
    make_dataset,
    read_export,
    read_jsonl,
    run_recipe,
    run_recipe_on_ray,
    write_jsonl,
    write_recipe,
)
from tests.test_whole_runs import work_dir_of
from tests.thorough import every

TYPES = {
    "decimal": pa.array([decimal.Decimal("1.5")] * 40),
    "binary": pa.array([b"\xff\x00"] * 40),
    "time": pa.array([datetime.time(1, 2)] * 40),
    "duration": pa.array([datetime.timedelta(1)] * 40),
    "image": pa.array([{"bytes": b"\xff", "path": None}] * 40),
    "images": pa.array([[{"bytes": b"\xff", "path": "a"}]] * 40),
}
SELECT = [{"facility_location_selector": {}}]
TOPICS = [{"topic_cluster_grouper": {}}, {"facility_location_selector": {}}, {"topic_reverse_grouper": {}}]
BY_OPERATOR = {
    "topic_cluster_grouper": TOPICS,
    "facility_location_selector": SELECT,
    "diversity_selector": [{"diversity_selector": {}}],
    "budget_selector": [{"budget_selector": {"select_num": 5}}],
    "sentence_embedding_mapper": [{"sentence_embedding_mapper": {}}],
    "quality_gate_filter": [{"quality_gate_filter": {"score_all": True}}],
    "pool_score_mapper": [{"pool_score_mapper": {}}],
    "sample_score_filter": [{"sample_score_filter": {}}],
}
NO_SELECTION = {"pool_score_mapper", "sentence_embedding_mapper", "quality_gate_filter", "sample_score_filter"}


def parquet(tmp_path, rows, extra=None):
    table = pa.Table.from_pylist(rows)
    for name, values in (extra or {}).items():
        table = table.append_column(name, values.slice(0, len(table)))
    path = tmp_path / "in.parquet"
    pq.write_table(table, path)
    return path


@pytest.fixture
def rows(embedded_rows):
    return embedded_rows[:40]


SETTINGS = [
    {"export": "export.jsonl"},
    {"export": "export.json"},
    {"export": "export.jsonl", "export_shard_size": 1000},
    {"export": "export.jsonl", "export_in_parallel": True, "np": 2},
    {"export": "export.out", "export_type": "json"},
]


@pytest.mark.parametrize(
    ("kind", "settings"),
    every(2, [*((kind, SETTINGS[0]) for kind in TYPES), *(("binary", settings) for settings in SETTINGS[1:])]),
    ids=lambda part: part if isinstance(part, str) else " ".join(map(str, part.values())),
)
def test_a_type_that_the_export_cannot_hold_is_said_before_any_work(tmp_path, rows, kind, settings):
    data = parquet(tmp_path, rows, {"extra": TYPES[kind]})
    others = {name: value for name, value in settings.items() if name != "export"}
    export = tmp_path / "out" / settings["export"]
    recipe = write_recipe(tmp_path, TOPICS, data, export_path=str(export), **others)
    with pytest.raises(DatasetError, match=r"^topic_cluster_grouper: the export .* 'extra' \(.*export to \.parquet"):
        run_recipe(recipe)
    assert list(export.parent.glob("export*")) == []


@pytest.mark.parametrize("operator", BY_OPERATOR)
def test_whichever_of_ours_stands_first_says_it(tmp_path, rows, operator):
    data = parquet(tmp_path, rows, {"extra": TYPES["images"]})
    first = {"python_lambda_mapper": {"lambda_str": "lambda row: row", "skip_op_error": False}}
    recipe = write_recipe(tmp_path, [first, *BY_OPERATOR[operator]], data)
    with pytest.raises(DatasetError, match=rf"^{operator}: .*'extra' \(binary in list.*export to \.parquet"):
        run_recipe(recipe)


def test_parquet_holds_them(tmp_path, rows):
    # Data-Juicer takes a column `images` for paths.
    extra = {f"of_{kind}": values for kind, values in TYPES.items()}
    data = parquet(tmp_path, rows, extra)
    export = run_recipe(write_recipe(tmp_path, SELECT, data, export_path=str(tmp_path / "out" / "export.parquet")))
    written = pq.read_table(export)
    assert {kind: written.column(kind).to_pylist() for kind in extra} == {
        kind: values.to_pylist()[:8] for kind, values in extra.items()
    }


def test_dates_and_timestamps_go_on_working(tmp_path, rows):
    moment = datetime.datetime(2020, 1, 2, 3)
    extra = {"day": pa.array([moment.date()] * 40), "moment": pa.array([moment] * 40)}
    export = run_recipe(write_recipe(tmp_path, SELECT, parquet(tmp_path, rows, extra)))
    assert {(row["day"], row["moment"]) for row in read_jsonl(export)} == {("2020-01-02", "2020-01-02T03:00:00")}


def test_whole_numbers_beside_nulls_stay_whole_in_json(tmp_path, rows):
    data = write_jsonl(tmp_path / "in.jsonl", [row | {"n": n if n % 2 else None} for n, row in enumerate(rows)])
    export = run_recipe(write_recipe(tmp_path, SELECT, data, export_path=str(tmp_path / "out" / "export.json")))
    numbers = [row["n"] for row in json.loads(export.read_text(encoding="utf-8"))]
    assert {type(number) for number in numbers} == {int, type(None)}


def test_an_operator_outside_of_a_recipe_does_not_complain(rows):
    from mergeit_ops.ops import FacilityLocationSelector

    dataset = make_dataset([row | {"extra": b"\xff"} for row in rows])
    assert len(FacilityLocationSelector().run(dataset)) == 8


def test_dj_analyze_does_not_complain(tmp_path, rows):
    from data_juicer.config import init_configs
    from data_juicer.core import Analyzer

    recipe = write_recipe(tmp_path, [{"quality_gate_filter": {"score_all": True}}], parquet(tmp_path, rows, {}))
    data = parquet(tmp_path, rows, {"extra": TYPES["binary"]})
    config = init_configs(["--config", str(recipe), "--dataset_path", str(data)])
    assert len(Analyzer(config).run()) == 40


ON_RAY = pytest.mark.usefixtures("ray_cluster")


@ON_RAY
@pytest.mark.parametrize(
    ("operator", "kind"), every(2, [("topic_cluster_grouper", "images"), ("quality_gate_filter", "binary")])
)
def test_on_ray_it_is_said_before_any_work_too(tmp_path, rows, kind, operator):
    from mergeit_ops.distributed.errors import own_errors

    data = parquet(tmp_path, rows, {"extra": TYPES[kind]})
    recipe = write_recipe(tmp_path, BY_OPERATOR[operator], data, export_path=str(tmp_path / "out"))
    with own_errors(), pytest.raises(Exception, match=rf"{operator}: .*'extra' \(.*export to \.parquet"):
        run_recipe_on_ray(recipe)


@pytest.mark.slow
@ON_RAY
def test_dates_at_the_top_and_csv_are_refused_on_ray(tmp_path, rows):
    data = parquet(tmp_path, rows, {"day": pa.array([datetime.date(2020, 1, 2)] * 40)})
    recipe = write_recipe(tmp_path, SELECT, data, export_path=str(tmp_path / "out"))
    with pytest.raises(DatasetError, match=r"'day' \(date32\[day\]\)"):
        run_recipe_on_ray(recipe)
    with pytest.raises(DatasetError, match=r"'__dj__meta__' \(struct"):
        run_recipe_on_ray(write_recipe(tmp_path, TOPICS, data, export_path=str(tmp_path / "out"), export_type="csv"))


@pytest.mark.slow
@ON_RAY
def test_on_ray_a_later_mapper_may_take_the_column_away(tmp_path, rows, lines):
    data = parquet(tmp_path, rows, {"extra": TYPES["binary"]})
    drop = "lambda row: {name: value for name, value in row.items() if name != 'extra'}"
    process = [*SELECT, {"python_lambda_mapper": {"lambda_str": drop, "skip_op_error": False}}]
    export = run_recipe_on_ray(write_recipe(tmp_path, process, data, export_path=str(tmp_path / "out")))
    assert len(read_export(export)) == 8
    assert any("'extra' (binary); export to .parquet" in line for line in lines)


LOADED = {
    "in.csv": ('instruction,output\nhi,there\nNone,x\n"a\nb",NA\n\nq,null\nzz,N/A\nnan,1\nww,ok\n', 2, 7),
    "in.tsv": ("instruction\toutput\nhi\tthere\nNone\tx\n", 1, 2),
    "in.jsonl": ('{"instruction": "a", "output": "b"}\n\n{"instruction": null, "output": "b"}\n', 1, 2),
    "in.json": ('[{"instruction": "a", "output": "b"}, {"instruction": "c", "output": null}]', 1, 2),
}


MAP = {"python_lambda_mapper": {"lambda_str": "lambda row: row"}}


@pytest.mark.parametrize(("name", "before"), [*((name, []) for name in LOADED), ("in.csv", [MAP])])
def test_rows_that_the_loader_drops_are_counted(tmp_path, lines, name, before):
    text, left, found = LOADED[name]
    data = tmp_path / name
    data.write_text(text, encoding="utf-8")
    process = [*before, {"budget_selector": {"select_num": 5}}]
    export = run_recipe(write_recipe(tmp_path, process, data, text_keys=["instruction", "output"]))
    assert len(read_jsonl(export)) == left
    (record,) = read_manifests(work_dir_of(export))
    assert record["figures"]["dropped_by_loader"] == found - left
    said = next(line for line in lines if "loader dropped" in line)
    assert f"dropped {found - left} of {found} rows" in said
    assert ("keep_default_na: false" in said) == (data.suffix in (".csv", ".tsv"))


def test_the_cure_for_csv_works(tmp_path, lines):
    data = tmp_path / "in.csv"
    data.write_text(LOADED["in.csv"][0], encoding="utf-8")
    recipe = write_recipe(
        tmp_path,
        [{"budget_selector": {"select_num": 50}}],
        data,
        text_keys=["instruction", "output"],
        load_dataset_kwargs={"keep_default_na": False},
    )
    assert [row["output"] for row in read_jsonl(run_recipe(recipe))] == ["there", "x", "NA", "null", "N/A", "1", "ok"]
    assert not any("loader dropped" in line for line in lines)


def test_nothing_is_said_where_a_filter_may_have_dropped_rows(tmp_path, lines):
    data = write_jsonl(tmp_path / "in.jsonl", [{"instruction": text, "output": text} for text in ("a", "bbbb")])
    process = [{"text_length_filter": {"text_key": "output", "min_len": 2}}, {"budget_selector": {"select_num": 5}}]
    export = run_recipe(write_recipe(tmp_path, process, data, text_keys=["instruction", "output"]))
    assert "dropped_by_loader" not in read_manifests(work_dir_of(export))[0]["figures"]
    assert not any("loader dropped" in line for line in lines)


@pytest.mark.parametrize(
    ("suffix", "first", "second"),
    every(
        4, [(suffix, *pair) for suffix in ("jsonl", "json", "jsonl.gz") for pair in ((1, "2"), ("1", 2), (1.5, "2.5"))]
    ),
)
def test_columns_whose_type_differs_from_file_to_file_are_named(tmp_path, lines, rows, suffix, first, second):
    data = tmp_path / "in"
    data.mkdir()
    for name, own, part in (("a", first, rows[:20]), ("b", second, rows[20:])):
        part = [row | {"mixed": own, "same": 1} for row in part]
        text = json.dumps(part) if suffix == "json" else "".join(json.dumps(row) + "\n" for row in part)
        file = data / f"{name}.{suffix}"
        file.write_bytes(gzip.compress(text.encode()) if suffix.endswith("gz") else text.encode())
    export = run_recipe(write_recipe(tmp_path, TOPICS, data))
    (kind,) = {type(row["mixed"]) for row in read_jsonl(export)}
    other = "a" if type(first) is not kind else "b"
    records = read_manifests(work_dir_of(export))
    assert [record["figures"].get("changed_types") for record in records] == ["mixed", None, None]
    (line,) = [line for line in lines if "different types" in line]
    became = "texts" if kind is str else "numbers"
    assert f"all values of mixed became {became} ({other}.{suffix} holds others)" in line


@pytest.mark.parametrize(
    "value",
    every(2, ["2024-01-01", "2024-01-01T10:00:00Z", [{"on": "2024-01-01 10:00:00"}]]),
    ids=str,
)
def test_texts_that_became_timestamps_are_named(tmp_path, lines, rows, value):
    data = write_jsonl(tmp_path / "in.jsonl", [row | {"when": value} for row in rows])
    export = run_recipe(write_recipe(tmp_path, TOPICS, data))
    records = read_manifests(work_dir_of(export))
    assert [record["figures"].get("read_as_timestamps") for record in records] == ["when", None, None]
    assert sum("timestamps in the column when" in line for line in lines) == 1
    assert EMBEDDING not in read_jsonl(export)[0]


def test_a_timestamp_of_a_parquet_file_is_what_it_is(tmp_path, lines, rows):
    run_recipe(
        write_recipe(tmp_path, TOPICS, parquet(tmp_path, rows, {"when": pa.array([datetime.datetime.now()] * 40)}))
    )
    assert not any("timestamps in the column" in line for line in lines)
