"""Where a dry run exports to."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mergeit_ops.dataset.dry_run import export_apart, marked


@pytest.mark.parametrize(
    ("path", "expected"),
    [
        ("out/merged.jsonl", "out/merged.dry_run.jsonl"),
        ("merged.parquet", "merged.dry_run.parquet"),
        ("out/v1.2/folder", "out/v1.2/folder.dry_run"),
        ("s3://bucket/out/merged.jsonl", "s3://bucket/out/merged.dry_run.jsonl"),
        ("out/merged.dry_run.jsonl", "out/merged.dry_run.jsonl"),
    ],
)
def test_the_mark_stands_before_the_suffix_and_once(path, expected):
    assert marked(path) == expected


class Executor:
    """Builds operators while it holds an exporter, as those of Data-Juicer do."""

    def __init__(self, path, checkpoints=None):
        self.config = SimpleNamespace(export_path=path, export_shard_size=1 << 20)
        self.exporter = SimpleNamespace(export_path=path, export_shard_size=1 << 20)
        self.ckpt_manager = checkpoints

    def run(self):
        export_apart(self.config)


def test_configuration_and_exporter_are_told_the_same_path():
    executor = Executor("out/merged.jsonl")
    executor.run()
    executor.run()
    assert executor.config.export_path == executor.exporter.export_path == "out/merged.dry_run.jsonl"


def test_without_an_exporter_nothing_is_told():
    config = SimpleNamespace(export_path="out/merged.jsonl")
    export_apart(config)
    assert config.export_path == "out/merged.jsonl"


def test_there_are_no_shards_because_their_names_would_be_those_of_a_result():
    executor = Executor("out/merged.jsonl")
    executor.run()
    assert executor.config.export_shard_size == executor.exporter.export_shard_size == 0


def test_no_checkpoint_is_left_for_the_next_run():
    executor = Executor("out/merged.jsonl", checkpoints=object())
    executor.run()
    assert executor.ckpt_manager is None
    partitioned = Executor("out/merged.jsonl", checkpoints=SimpleNamespace(checkpoint_enabled=True))
    partitioned.run()
    assert partitioned.ckpt_manager.checkpoint_enabled is False


def test_the_folder_of_an_earlier_dry_run_goes_and_a_result_stays(tmp_path):
    for name in ("merged.json", "merged.dry_run.json"):
        (tmp_path / name).mkdir()
        (tmp_path / name / "part.json").write_text("{}")
    Executor(str(tmp_path / "merged.json")).run()
    assert (tmp_path / "merged.json" / "part.json").exists()
    assert not (tmp_path / "merged.dry_run.json").exists()
