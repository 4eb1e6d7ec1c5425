"""The mapping of tags as a file."""

import json

import pytest

from mergeit_ops.dataset.tag_mapping import read_tag_mapping, write_tag_mapping
from mergeit_ops.errors import DiskError, RecipeError


def test_a_mapping_comes_back_and_is_sorted(tmp_path):
    path = tmp_path / "new" / "tags.json"
    write_tag_mapping(path, {"poetry": "poem", "ode": "poem", "翻訳": "翻訳"})
    assert list(json.loads(path.read_text("utf-8"))) == ["ode", "poetry", "翻訳"]
    assert read_tag_mapping(path) == {"poetry": "poem", "ode": "poem", "翻訳": "翻訳"}
    assert [file.name for file in path.parent.iterdir()] == ["tags.json"]


def test_a_file_that_is_not_there_is_no_mapping(tmp_path):
    assert read_tag_mapping(tmp_path / "tags.json") is None


@pytest.mark.parametrize("text", ["", "[]", '{"a": 1}', "\xff"])
def test_what_is_no_mapping_is_refused(tmp_path, text):
    path = tmp_path / "tags.json"
    path.write_text(text, encoding="latin-1")
    with pytest.raises(RecipeError, match=r"mapping_path .*tags\.json"):
        read_tag_mapping(path)


def test_a_folder_that_cannot_be_written_is_named(tmp_path):
    (tmp_path / "file").write_text("")
    with pytest.raises(DiskError, match="set mapping_path to a file in another folder"):
        write_tag_mapping(tmp_path / "file" / "tags.json", {})
