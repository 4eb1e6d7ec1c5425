"""`report`: its options, and what it says when it cannot work."""

from __future__ import annotations

import sys

import pytest

from mergeit_ops.cli import main
from tests.report.exports import merged, original, write_export


@pytest.mark.parametrize(
    ("options", "message"),
    [
        (["none.jsonl"], "There is no file"),
        (["e.jsonl", "--output", "."], "is a folder"),
        (["e.jsonl", "--output", "e.jsonl"], "is not an .html file"),
        (["e.jsonl", "--input", "none.jsonl"], "--input: There is no file"),
        (["e.jsonl", "--input", "e.jsonl", "--output", "e.jsonl/r.html"], "cannot be written"),
        (["e.jsonl", "--work-dir", "nowhere"], "is not the work dir"),
        (["e.jsonl", "--embedding-model", "./no-such-model", "--output", "r.html"], "could not be loaded"),
    ],
)
def test_what_cannot_work_is_one_sentence(tmp_path, monkeypatch, capsys, options, message):
    monkeypatch.chdir(tmp_path)
    write_export(tmp_path / "e.jsonl", [original(0, "x"), merged(0, "a")])
    assert main(["report", *options]) == 1
    assert "First of a." in (tmp_path / "e.jsonl").read_text(encoding="utf-8")
    error = capsys.readouterr().err.strip().splitlines()[-1]
    assert error.startswith("error: ")
    assert message in error


def test_a_package_that_is_missing_is_named_before_the_work(tmp_path, monkeypatch, capsys):
    monkeypatch.setitem(sys.modules, "plotly", None)
    assert main(["report", str(write_export(tmp_path / "e.jsonl", [original(0, "x")]))]) == 1
    printed = capsys.readouterr()
    assert "pip install plotly" in printed.err
    assert printed.out == ""


@pytest.mark.parametrize("sample", ["-1", "many", "1.5"])
def test_sample_is_a_whole_number(sample, capsys):
    with pytest.raises(SystemExit):
        main(["report", "e.jsonl", "--sample", sample])
    assert "whole number" in capsys.readouterr().err
