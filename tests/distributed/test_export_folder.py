"""A warning before rows of two runs end up in one folder."""

import sys
from types import SimpleNamespace

import pytest

from mergeit_ops.distributed.export_folder import warn_of_earlier_export


@pytest.fixture
def warn(monkeypatch, lines):
    """Warn of an export path that Data-Juicer has in its configuration; return what is said."""
    import data_juicer.config.config  # noqa: F401

    def run(export_path):
        config = SimpleNamespace(export_path=export_path)
        monkeypatch.setattr(sys.modules["data_juicer.config.config"], "global_cfg", config, raising=False)
        warn_of_earlier_export()
        return [line for line in lines if "export folder" in line]

    return run


def test_a_folder_with_files_is_warned_of(warn, tmp_path):
    for name in ("a.jsonl", "b.jsonl"):
        (tmp_path / name).write_text("{}")
    (tmp_path / "logs").mkdir()
    assert f"The export folder {tmp_path} already has 2 files" in warn(str(tmp_path))[-1]


@pytest.mark.parametrize("path", ["", "none", None, "file"])
def test_nothing_is_said_of_any_other_place(warn, tmp_path, path):
    (tmp_path / "file").write_text("x")
    (tmp_path / "empty").mkdir()
    assert warn(None if path is None else str(tmp_path / path) if path else str(tmp_path / "empty")) == []
