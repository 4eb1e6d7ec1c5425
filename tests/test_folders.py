"""The folders that runs share."""

from pathlib import Path

from mergeit_ops.folders import CACHE_DIR_VARIABLE, cache_folder


def test_the_cache_folder_is_the_one_that_the_environment_names(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_DIR_VARIABLE, str(tmp_path))
    assert cache_folder() == tmp_path


def test_else_it_is_in_the_users_cache_folder(monkeypatch, tmp_path):
    monkeypatch.setenv(CACHE_DIR_VARIABLE, "")
    monkeypatch.setenv("HOME", str(tmp_path))
    monkeypatch.delenv("XDG_CACHE_HOME", raising=False)
    assert cache_folder().name == "mergeit-ops"
    assert Path(tmp_path) in cache_folder().parents
