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

    def __init__(self, path):
        self.config = SimpleNamespace(export_path=path)
        self.exporter = SimpleNamespace(export_path=path)

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
