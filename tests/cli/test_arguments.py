"""What several commands ask of their arguments."""

import argparse

import pytest

from mergeit_ops.cli.arguments import html_file, needs, seed, whole_number, write_page
from mergeit_ops.errors import DatasetError, MissingDependencyError


@pytest.mark.parametrize(("text", "number"), [("0", 0), ("7", 7), ("007", 7)])
def test_a_whole_number_is_read(text, number):
    assert whole_number(text) == seed(text) == number


@pytest.mark.parametrize("text", ["", "-1", "1.5", "1e3", "²", "٣", " 7", "1_000", "seven"])
def test_anything_else_is_refused_in_words(text):
    for read in (whole_number, seed):
        with pytest.raises(argparse.ArgumentTypeError, match="must be a whole number of at least 0"):
            read(text)


def test_a_seed_is_one_that_every_library_takes():
    assert seed(str(2**32 - 1)) == 2**32 - 1
    with pytest.raises(argparse.ArgumentTypeError, match="from 0 to 4294967295"):
        seed(str(2**32))
    assert whole_number(str(2**32)) == 2**32


def test_a_page_never_takes_the_place_of_another_file(tmp_path):
    (tmp_path / "rows.jsonl").write_text("{}")
    (tmp_path / "old.HTM").write_text("<html>")
    html_file(tmp_path / "new.jsonl")
    html_file(tmp_path / "old.HTM")
    with pytest.raises(DatasetError, match="is a folder"):
        html_file(tmp_path)
    with pytest.raises(DatasetError, match=r"exists and is not an \.html file"):
        html_file(tmp_path / "rows.jsonl")


def test_a_package_that_is_missing_is_named_before_the_work():
    needs("report", "json", "os.path")
    with pytest.raises(MissingDependencyError, match=r"report needs the package no_such_package.*pip install"):
        needs("report", "json", "no_such_package")


def test_a_page_is_written_into_a_folder_that_is_made(tmp_path):
    path = tmp_path / "a" / "b" / "page.html"
    assert write_page(path, "<p>ü</p>") == 9
    assert path.read_text(encoding="utf-8") == "<p>ü</p>"
    with pytest.raises(DatasetError, match="cannot be written"):
        write_page(path / "below", "x")
