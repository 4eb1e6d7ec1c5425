"""Reading a finished run: every form in which Data-Juicer leaves one, and what is said of what is none."""

from __future__ import annotations

import json
import shutil
from collections import Counter
from itertools import product
from pathlib import Path

import pytest

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, LineageMismatchError
from mergeit_ops.runs import ExportRow, read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import verify
from tests.recipe_runs import copy_of_run, read_jsonl, run_recipe, run_recipe_on_ray, write_jsonl, write_recipe
from tests.test_whole_runs import LAYOUTS, in_layout, pipeline, text_key_of
from tests.thorough import every


@pytest.fixture(scope="module")
def finished(tmp_path_factory, embedded_rows):
    """A finished run in a folder of its own, to be copied by tests that spoil it."""
    folder = tmp_path_factory.mktemp("finished")
    data = write_jsonl(folder / "in.jsonl", embedded_rows)
    return run_recipe(write_recipe(folder, pipeline(gamma=1.4), data))


@pytest.fixture
def spoiled(finished, tmp_path):
    return Path(shutil.copytree(finished.parent, tmp_path / "copy")) / finished.name


def plain(row: ExportRow) -> list:
    """Return a row for comparison: Data-Juicer writes 10 to 17 digits of a number, by the form of the export."""
    meta, stats = (
        {name: round(value, 5) if isinstance(value, float) else value for name, value in values.items()}
        for values in (row.lineage.meta, row.quality.stats)
    )
    return [row.content, meta, stats, row.parents]


@pytest.mark.parametrize(
    ("suffix", "keep", "shard_size"), every(5, product(["jsonl", "json", "parquet"], [False, True], [0, 20_000]))
)
def test_every_form_of_the_default_executor_holds_the_same_run(
    tmp_path, embedded_rows, finished, suffix, keep, shard_size
):
    export = tmp_path / "out" / f"export.{suffix}"
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    recipe = write_recipe(tmp_path, pipeline(gamma=1.4), data, keep_stats_in_res_ds=keep, export_shard_size=shard_size)
    run_recipe(recipe, "--export_path", str(export))
    run, expected = read_run(export), read_run(finished)
    assert (len(run.files) > 1) == bool(shard_size)
    assert (run.beside is None) == keep
    assert run.has_lineage
    assert run.layout().name == "alpaca"
    assert run.columns == ("id", "instruction", "input", "output", "source")
    rows = list(run.rows())
    assert [row.number for row in rows] == list(range(1, len(rows) + 1))
    assert list(map(plain, rows)) == list(map(plain, expected.rows()))
    assert [record["operator"] for record in run.records.operators] == list(run.records.process)


def test_a_shard_stands_for_all_of_them(tmp_path, embedded_rows):
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    recipe = write_recipe(tmp_path, pipeline(), data, export_shard_size=20_000)
    export = run_recipe(recipe)
    first, *others = sorted(export.parent.glob("export-*"))
    assert len(list(read_run(first).rows())) == len(list(read_run(export).rows()))
    others[-1].unlink()
    with pytest.raises(DatasetError, match=r"of its \d+ shards, number \d+ is missing"):
        read_run(first)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("kind", every(2, ["parquet", "jsonl"]))
def test_a_folder_of_ray_holds_the_rows_of_the_default_executor(tmp_path, embedded_rows, finished, kind):
    recipe = write_recipe(tmp_path, pipeline(gamma=1.4), write_jsonl(tmp_path / "in.jsonl", embedded_rows))
    folder = str(tmp_path / "ray" / "export")
    # There, metadata stay in the export all the same.
    extra = ["--keep_stats_in_res_ds", "false", "--export_type", kind]
    run = read_run(run_recipe_on_ray(recipe, "--export_path", folder, *extra))
    expected = {row.lineage.row_id: row for row in read_run(finished).rows()}
    rows = {row.lineage.row_id: row for row in run.rows()}
    assert rows.keys() == expected.keys()
    for row_id, row in rows.items():
        assert row.content == expected[row_id].content
        assert row.parents == expected[row_id].parents
        assert row.lineage.status == expected[row_id].lineage.status
        assert row.quality.ratio == pytest.approx(expected[row_id].quality.ratio)
    assert run.work_dir is not None


def test_rows_tell_what_became_of_them(finished, embedded_rows):
    run = read_run(finished)
    before = {row["id"]: {name: value for name, value in row.items() if name != EMBEDDING} for row in embedded_rows}
    rows = list(run.rows())
    assert {row.lineage.status for row in rows} == {"original", "merged", "restored"}
    for row in rows:
        if row.lineage.status == "merged":
            assert [parent.row_id for parent in row.parent_lineages] == list(row.lineage.parent_ids)
            assert all(parent == before[parent["id"]] for parent in row.parents)
            assert row.quality.ratio == pytest.approx(row.quality.after / row.quality.before)
        else:
            assert row.content == before[row.content["id"]]
            assert not row.parents
        assert (row.lineage.rejected == "score") == (row.lineage.status == "restored")
        assert row.lineage.topic_id in range(5)
        assert run.layout().read(row.content).problem is None


@pytest.mark.parametrize("layout", every(3, LAYOUTS))
def test_the_layout_of_the_run_reads_its_rows(tmp_path, embedded_rows, layout):
    rows = in_layout(layout, embedded_rows)
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    run = read_run(copy_of_run(tmp_path, pipeline(gamma=1.4), data, text_keys=text_key_of(rows[0])))
    assert layout.startswith(run.layout().name)
    assert all(run.layout().read(row.content).sample.output for row in run.rows())


def test_columns_that_the_recipe_names_are_read(tmp_path, embedded_rows):
    keys = {"instruction_key": "task", "response_key": "answer"}
    rows = [{"task": row["instruction"], "answer": row["output"], EMBEDDING: row[EMBEDDING]} for row in embedded_rows]
    process = [{name: parameters | keys} for operator in pipeline() for name, parameters in operator.items()]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    run = read_run(run_recipe(write_recipe(tmp_path, process, data, text_keys="task")))
    assert all(run.layout().read(row.content).sample.instruction == row.content["task"] for row in run.rows())


def test_the_work_dir_is_that_of_the_run_that_wrote_the_export(tmp_path, embedded_rows):
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    recipe = write_recipe(tmp_path, pipeline(), data)
    export = run_recipe(recipe)
    first = read_run(export).work_dir
    run_recipe(recipe, "--export_path", str(export.with_name("other.jsonl")))
    assert read_run(export).work_dir == first
    again = run_recipe(recipe)
    assert read_run(again).work_dir != first
    elsewhere = run_recipe(
        recipe, "--work_dir", str(tmp_path / "work"), "--export_path", str(tmp_path / "x" / "e.jsonl")
    )
    assert read_run(elsewhere).work_dir is None
    (work_dir,) = (tmp_path / "work").iterdir()
    assert len(read_run(elsewhere, work_dir).records.operators) == 4
    moved = Path(shutil.move(str(export.parent), str(tmp_path / "moved"))) / export.name
    assert read_run(moved).work_dir is not None


def test_half_a_record_of_another_run_is_in_nobodys_way(spoiled):
    expected = read_run(spoiled).work_dir
    other = spoiled.parent / "killed" / "mergeit"
    other.mkdir(parents=True)
    (other / "001_topic_cluster_grouper.json").write_text("{", encoding="utf-8")
    assert read_run(spoiled).work_dir == expected
    with pytest.raises(DatasetError, match="holds no records"):
        read_run(spoiled, other.parent)


def test_records_of_a_run_that_went_on_from_a_checkpoint_are_complete(tmp_path, embedded_rows, monkeypatch):
    from mergeit_ops.dataset import manifest

    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    process = pipeline(gamma=1.4)
    process[-1] = {"quality_gate_filter": {"scorer": "tests.user_scorers:Raising"}}
    settings = {"use_checkpoint": True, "job_id": "again"}
    with pytest.raises(Exception, match="Raising"):
        run_recipe(write_recipe(tmp_path, process, data, **settings))
    # A second dj-process is a second process.
    monkeypatch.setattr(manifest, "_RUN_ID", "second")
    export = run_recipe(write_recipe(tmp_path, pipeline(gamma=1.4), data, **settings))
    run = read_run(export)
    assert [record["operator"] for record in run.records.operators] == [next(iter(entry)) for entry in pipeline()]
    assert not run.records.stopped


@pytest.mark.parametrize("key", ["system_key", "history_key"])
def test_samples_are_read_by_the_keys_of_data_juicer_that_the_run_had(tmp_path, embedded_rows, key):
    value = {"system_key": "Be kind.", "history_key": []}[key]
    rows = [{**row, "persona": value} for row in embedded_rows]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    process = [{name: {**given, key: "persona"} for name, given in step.items()} for step in pipeline(gamma=0.1)]
    run = read_run(run_recipe(write_recipe(tmp_path, process, data)))
    assert "persona" in run.layout().columns
    found = verify(run, read_input(data))
    assert found.holds, [*found.violations, *found.undecided]
    assert any(row.lineage.status == "merged" for row in run.rows())


def test_rows_without_lineage_are_read_where_there_are_records(tmp_path, embedded_rows):
    process = [{"facility_location_selector": {"select_num": 12}}]
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    run = read_run(run_recipe(write_recipe(tmp_path, process, data)))
    assert not run.has_lineage
    assert Counter(row.lineage.status for row in run.rows()) == {None: 12}


def test_what_is_no_run_of_ours_is_told_in_a_sentence(tmp_path, embedded_rows):
    def refused(path: Path) -> str:
        with pytest.raises(DatasetError) as error:
            list(read_run(path).rows())
        return str(error.value)

    plain = write_jsonl(tmp_path / "plain.jsonl", embedded_rows)
    assert "is not an export of a run with MergeIT-ops" in refused(plain)
    assert "There is no file or folder" in refused(tmp_path / "none.jsonl")
    assert "its name must end in .jsonl" in refused(tmp_path / "recipe.yaml")
    empty = write_jsonl(tmp_path / "empty.jsonl", [])
    assert "has no rows" in refused(empty)
    (tmp_path / "folder").mkdir()
    assert "holds no file that ends in" in refused(tmp_path / "folder")
    (tmp_path / "broken.parquet").write_bytes(b"PAR1")
    assert "cannot be read as parquet" in refused(tmp_path / "broken.parquet")
    (tmp_path / "bytes.jsonl").write_bytes(b"\xff\xfe{}\n")
    assert "is not text in UTF-8" in refused(tmp_path / "bytes.jsonl")
    (tmp_path / "numbers.json").write_text("[1, 2]", encoding="utf-8")
    assert "row 1, is not a JSON object" in refused(tmp_path / "numbers.json")


def test_a_row_that_cannot_be_read_is_named(spoiled):
    lines = spoiled.read_text(encoding="utf-8").splitlines()
    spoiled.write_text("\n".join([*lines[:4], lines[4][:-20], *lines[5:]]), encoding="utf-8")
    with pytest.raises(DatasetError, match=r"export\.jsonl, line 5, is not a JSON object"):
        list(read_run(spoiled).rows())


def test_a_parent_that_cannot_be_read_is_named(spoiled):
    rows = read_jsonl(spoiled)
    number = next(number for number, row in enumerate(rows) if row[META]["merge_parents"])
    rows[number][META]["merge_parents"][1] = "{"
    write_jsonl(spoiled, rows)
    row = list(read_run(spoiled).rows())[number]
    with pytest.raises(DatasetError, match=rf"Parent 2 of row {number + 1} \(export\.jsonl, line {number + 1}\)"):
        assert row.parents


@pytest.mark.parametrize("drop", ["row", "lineage"])
def test_an_export_and_lineage_of_different_length_do_not_belong_together(tmp_path, embedded_rows, drop):
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    export = copy_of_run(tmp_path, pipeline(), data, keep_stats_in_res_ds=False)
    run = read_run(export)
    shorter = export if drop == "row" else run.beside
    write_jsonl(shorter, read_jsonl(shorter)[:-1])
    with pytest.raises(LineageMismatchError, match="differ in length from row"):
        list(run.rows())


def test_metadata_that_a_parquet_file_holds_as_text_are_parsed(tmp_path, spoiled):
    import pyarrow as pa
    import pyarrow.parquet as pq

    rows = [row | {name: json.dumps(row[name]) for name in (META, STATS)} for row in read_jsonl(spoiled)]
    path = spoiled.with_name("text.parquet")
    pq.write_table(pa.Table.from_pylist(rows), path)
    assert [row.lineage for row in read_run(path).rows()] == [row.lineage for row in read_run(spoiled).rows()]


def test_records_name_the_export_and_the_operators_of_the_recipe(finished):
    work_dir = read_run(finished).work_dir
    for record in read_manifests(work_dir):
        assert record["export_path"] == str(finished)
        assert record["process"] == [next(iter(entry)) for entry in pipeline()]
