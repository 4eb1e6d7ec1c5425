"""The output of `make` for a newcomer."""

from __future__ import annotations

import shutil
import subprocess

import pytest

from tests.conftest import REPOSITORY

STUB = '#!/bin/sh\necho "$0 $*"\n'


@pytest.mark.skipif(shutil.which("make") is None, reason="make is not installed")
def test_the_quickstart_ends_with_its_files_and_the_next_command(tmp_path):
    shutil.copy(REPOSITORY / "Makefile", tmp_path)
    for file in ("pyproject.toml", "constraints.txt"):
        (tmp_path / file).touch()
    programs = tmp_path / ".venv" / "bin"
    programs.mkdir(parents=True)
    for name in ("python", "dj-process"):
        (programs / name).write_text(STUB)
        (programs / name).chmod(0o755)
    (tmp_path / ".venv" / ".installed").touch()
    # Inside `make test`, make would also print the folder that it leaves.
    command = ["make", "--no-print-directory", "quickstart"]
    run = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=True)
    export, report, following = run.stdout.splitlines()[-3:]
    recipe = (REPOSITORY / "recipes" / "mergeit_quickstart.yaml").read_text(encoding="utf-8")
    assert export == "Export: outputs/quickstart/merged.jsonl"
    assert f"export_path: {export.removeprefix('Export: ')}" in recipe
    assert report.startswith("Report: outputs/quickstart/report.html")
    assert "--output outputs/quickstart/report.html" in run.stdout
    assert following.startswith("Next:   .venv/bin/python -m mergeit_ops check my.jsonl")
