"""`recipes`: what ships, and a copy of it."""

from __future__ import annotations

import filecmp

from mergeit_ops import cli
from tests.conftest import REPOSITORY


def test_every_recipe_is_listed_with_what_it_is_for(capsys):
    assert cli.main(["recipes"]) == 0
    printed = capsys.readouterr().out.splitlines()
    paths, about = printed[::2], printed[1::2]
    assert sorted(paths) == sorted(
        path.relative_to(REPOSITORY).as_posix() for path in (REPOSITORY / "recipes").rglob("*.yaml")
    )
    assert all(line.startswith("    ") and line.endswith(".") and "#" not in line for line in about)


def test_a_copy_has_all_files_and_replaces_none(tmp_path, capsys):
    assert cli.main(["recipes", "--copy", str(tmp_path / "new")]) == 0
    assert "--config recipes/mergeit_quickstart.yaml" in capsys.readouterr().out
    copy = tmp_path / "new" / "recipes"
    for path in filter(lambda path: path.is_file(), (REPOSITORY / "recipes").rglob("*")):
        assert filecmp.cmp(path, copy / path.relative_to(REPOSITORY / "recipes"), shallow=False)
    assert cli.main(["recipes", "--copy", str(tmp_path / "new")]) == 1
    assert "exists" in capsys.readouterr().err


def test_a_folder_that_cannot_be_written_is_a_sentence(tmp_path, capsys):
    (tmp_path / "file").write_text("x")
    assert cli.main(["recipes", "--copy", str(tmp_path / "file")]) == 1
    assert "cannot be written" in capsys.readouterr().err
