"""A disk that is full, or fills on the way: one sentence with the folder and the cure, and never a hang of ours."""

from __future__ import annotations

import json
import os
import subprocess
import tempfile
from collections.abc import Iterator
from contextlib import suppress
from pathlib import Path

import pyarrow as pa
import pytest
from datasets import Features, Value

from mergeit_ops.core.columns import META
from mergeit_ops.core.disk import is_full, unwritable
from mergeit_ops.dataset.manifest import read_manifests, recorded
from mergeit_ops.dataset.tables import TableSink
from mergeit_ops.errors import DiskError
from mergeit_ops.llm.journal import Journal
from tests.llm_server import FakeLLMServer
from tests.recipe_runs import read_jsonl, run_command, run_recipe, write_jsonl, write_recipe
from tests.test_whole_runs import pipeline


@pytest.fixture
def small_disk(tmp_path) -> Iterator[Path]:
    """A disk of a megabyte."""
    folder = tmp_path / "disk"
    folder.mkdir()
    mounted = subprocess.run(
        ["mount", "-t", "tmpfs", "-o", "size=1m", "tmpfs", str(folder)], check=False, capture_output=True
    )
    if mounted.returncode:
        pytest.skip("a file system cannot be mounted here")
    yield folder
    subprocess.run(["umount", "--lazy", str(folder)], check=True)


def fill(folder: Path) -> None:
    file = os.open(folder / "filler", os.O_CREAT | os.O_WRONLY)
    with suppress(OSError):
        while True:
            os.write(file, b"x" * 4096)
    os.close(file)


@pytest.fixture
def temporary_files_there(small_disk, monkeypatch) -> Path:
    from datasets import fingerprint
    from multiprocess import util

    # Its sockets stay where they are: the path of this disk is too long for one.
    util.get_temp_dir()
    monkeypatch.setattr(tempfile, "tempdir", str(small_disk))
    monkeypatch.setattr(fingerprint, "_TEMP_DIR_FOR_TEMP_CACHE_FILES", None)
    return small_disk


FEATURES = Features({"text": Value("string")})


@pytest.mark.parametrize("when", ["at once", "while rows are written"])
def test_rows_that_find_no_room_stop_with_the_folder_and_the_cure(temporary_files_there, when):
    if when == "at once":
        fill(temporary_files_there)

    def write() -> None:
        sink = TableSink(FEATURES)
        for _ in range(50):
            sink.write(pa.table({"text": ["x" * 50_000]}))
        sink.finish()

    with pytest.raises(DiskError) as stopped:
        write()
    sentence = str(stopped.value)
    assert str(temporary_files_there) in sentence
    assert "is full. Make room there, or set the environment variable TMPDIR to another folder." in sentence


@pytest.mark.parametrize("stage", ["topic_cluster_grouper", "llm_pair_merger_mapper"])
def test_a_run_stops_at_the_operator_that_finds_no_room(tmp_path, embedded_rows, temporary_files_there, stage):
    rows = [row | {"extra": "x" * (20_000 if stage == "topic_cluster_grouper" else 10)} for row in embedded_rows]
    recipe = write_recipe(tmp_path, pipeline(), write_jsonl(tmp_path / "in.jsonl", rows))
    if stage != "topic_cluster_grouper":
        (temporary_files_there / "filler").write_bytes(b"x" * 500_000)
    with pytest.raises(DiskError, match="set the environment variable TMPDIR"):
        run_recipe(recipe)
    (work_dir,) = (path.parent for path in (tmp_path / "out").rglob("mergeit"))
    assert read_manifests(work_dir)[-1]["state"] == "stopped"
    assert read_manifests(work_dir)[-1]["stopped"] == "DiskError"
    assert not (tmp_path / "out" / "export.jsonl").exists()


def test_answers_that_find_no_room_are_a_warning_with_the_folder(tmp_path, embedded_rows, small_disk, lines):
    (small_disk / "filler").write_bytes(b"x" * 900_000)
    with FakeLLMServer() as server:
        process = pipeline(server, cache_path=str(small_disk / "journal.sqlite3"))
        export = run_recipe(write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", embedded_rows)))
    assert {row[META]["merge_status"] for row in read_jsonl(export)} >= {"merged"}
    (line,) = [line for line in lines if "answers could not be stored in the answer cache" in line]
    assert str(small_disk) in line
    assert "cache_write_failures" in json.dumps(read_manifests(next((tmp_path / "out").rglob("mergeit")).parent))


BUDGET = [{"budget_selector": {"select_num": 10_000}}]
"""Keeps all rows."""


@pytest.mark.parametrize("settings", [{}, {"export_shard_size": 1000}, {"export_in_parallel": True, "np": 2}], ids=str)
def test_an_export_that_finds_no_room_is_said_before_it_is_begun(tmp_path, embedded_rows, small_disk, settings):
    data = write_jsonl(tmp_path / "in.jsonl", [row | {"extra": "x" * 60_000} for row in embedded_rows])
    export = small_disk / "out" / "export.jsonl"
    recipe = write_recipe(tmp_path, BUDGET, data, export_path=str(export), work_dir=str(tmp_path / "work"), **settings)
    sentence = rf"^budget_selector: the disk that holds {export.parent} has .* MiB left, .* set export_path to another"
    with pytest.raises(DiskError, match=sentence):
        run_recipe(recipe)
    assert not list(export.parent.glob("export*"))


@pytest.mark.parametrize("executor", ["default", pytest.param("ray", marks=pytest.mark.slow)])
def test_a_disk_that_becomes_full_in_the_export_is_named_with_the_cure(tmp_path, embedded_rows, small_disk, executor):
    """The room is enough for a look, and not for both files of the export."""
    data = write_jsonl(tmp_path / "in.jsonl", [row | {"extra": "x" * 12_000} for row in embedded_rows])
    recipe = write_recipe(
        tmp_path,
        BUDGET,
        data,
        export_path=str(small_disk / "out" / "export.jsonl"),
        work_dir=str(tmp_path / "work"),
        executor_type=executor,
        ray_address="local",
    )
    run = run_command("dj-process", "--config", str(recipe), cwd=tmp_path)
    assert run.returncode == 1
    (sentence,) = [line for line in run.stdout.splitlines() if "The disk that holds" in line]
    assert f"{small_disk / 'out'} is full. Make room there, or set export_path to another folder." in sentence
    assert "No space left on device" in run.stdout


@pytest.mark.parametrize("full_from", ["the start", "later"])
def test_a_journal_on_a_full_disk_stops_nothing(small_disk, lines, full_from):
    journal = None
    if full_from == "the start":
        fill(small_disk)
        journal = Journal(small_disk / "a.db")
    else:
        journal = Journal(small_disk / "a.db")
        fill(small_disk)
    for number in range(20):
        journal.put(str(number), "x" * 20_000)
    assert journal.write_failures > 10
    assert journal.get("nothing") is None
    journal.close()
    (line,) = [line for line in lines if "The answer cache" in line]
    assert str(small_disk) in line


def test_a_record_that_finds_no_room_is_a_warning_and_the_one_before_stays(small_disk, lines):
    with recorded("op", {}, str(small_disk), place=0) as manifest:
        fill(small_disk)
        manifest.details["ids"] = ["x" * 100] * 1_000
    (record,) = read_manifests(small_disk)
    assert record["state"] == "running"
    (line,) = [line for line in lines if "its record could not be written" in line]
    assert f"the disk that holds {small_disk}" in line
    assert "set work_dir to another folder" in line
    assert [path.name for path in (small_disk / "mergeit").iterdir()] == ["001_op.json"]


@pytest.mark.parametrize(
    ("error", "full"),
    [
        (OSError(28, "No space left on device"), True),
        (OSError(122, "Disk quota exceeded"), True),
        (OSError(27, "File too large"), True),
        (RuntimeError("[Errno 28] Error writing bytes to file. Detail: [errno 28] No space left on device"), True),
        (RuntimeError("database or disk is full"), True),
        (PermissionError(13, "Permission denied"), False),
        (OSError(30, "Read-only file system"), False),
    ],
)
def test_full_is_told_from_forbidden(error, full):
    assert is_full(error) == full
    sentence = unwritable(error, "/data", "set X")
    assert ("is full" in sentence) == full
    assert sentence.endswith("or set X.")


def _as_a_task_raised_it(error: Exception) -> Exception:
    from ray.exceptions import RayTaskError

    return RayTaskError("f", "a traceback", error).as_instanceof_cause()


def _full_disks_of_a_cluster() -> dict[str, Exception]:
    from ray.exceptions import ObjectStoreFullError, OutOfDiskError

    full = OSError(28, "No space left on device")
    return {
        "no room to spill": OutOfDiskError("Local disk is full"),
        "no room to spill, in a task": _as_a_task_raised_it(OutOfDiskError("Local disk is full")),
        "no memory": ObjectStoreFullError("The object store is full"),
        "a write": full,
        "a write in a task": _as_a_task_raised_it(full),
    }


@pytest.mark.parametrize("where", list(_full_disks_of_a_cluster()))
def test_a_cluster_without_room_is_a_sentence_with_the_cure(where):
    from mergeit_ops.distributed.errors import own_errors

    with pytest.raises(DiskError, match=r"The Ray cluster has no room left.*--temp-dir"), own_errors():
        raise _full_disks_of_a_cluster()[where]


@pytest.mark.parametrize("error", [OSError(2, "No such file"), _as_a_task_raised_it(ValueError("x")), ValueError("x")])
def test_other_errors_of_a_cluster_are_what_they_were(error):
    from mergeit_ops.distributed.errors import own_errors

    with pytest.raises(type(error)) as raised, own_errors():
        raise error
    assert raised.value is error
