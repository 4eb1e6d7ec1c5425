"""Normalised tags: rules before frequency, meaning, associations, and a mapping that is used again."""

import json

import pytest

from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.jobs import local_rows
from mergeit_ops.ops import TagNormalizationMapper
from tests.recipe_runs import make_dataset

# A tag that is in one row only is rare.
TAGS = [
    ["Poetry Writing", "SQL", "???"],
    ["poetry-writing", "sql", "cooking recipes"],
    ["SQL queries", "Cooking recipe", "odd"],
    ["sql query", "recipe for cooking"],
    None,
    [],
]


def normalized(tags, **parameters):
    dataset = make_dataset([{"instruction": "a", "output": "b", "tags": own} for own in tags])
    return TagNormalizationMapper(**parameters).run(dataset)["tags"][:]


def test_rules_come_before_the_frequency_and_rare_tags_go():
    assert normalized(TAGS, merge_similarity=None) == [
        ["poetry writing", "sql"],
        ["poetry writing", "sql", "cooking recipe"],
        ["sql query", "cooking recipe"],
        ["sql query"],
        [],
        [],
    ]
    assert normalized(TAGS, merge_similarity=None, min_tag_count=3) == [[]] * 6


def test_tags_that_mean_the_same_are_one():
    found = normalized(TAGS, merge_similarity=0.8, min_tag_count=1)
    # `sql` is as frequent as `sql query`, and shorter.
    assert found[2] == ["sql", "cooking recipe", "odd"]
    assert found[3] == ["sql", "cooking recipe"]
    assert found[0] == ["poetry writing", "sql"]


def test_a_tag_that_always_comes_with_another_becomes_it():
    # The golden example: only a implies b.
    tags = [list(row) for row in ("ab", "abc", "ab", "bc", "c", "ab")]
    parameters = {"merge_similarity": None, "min_tag_count": 1}
    assert normalized(tags, **parameters) == tags
    joined = normalized(tags, min_support=3, min_confidence=0.99, **parameters)
    assert joined == [["b"], ["b", "c"], ["b"], ["b", "c"], ["c"], ["b"]]


def test_the_mapping_is_written_and_used_again(tmp_path):
    path = tmp_path / "tags.json"
    first = normalized(TAGS, mapping_path=str(path), merge_similarity=None)
    names = {"poetry writing": "poetry writing", "sql": "sql", "sql query": "sql query"}
    assert json.loads(path.read_text("utf-8")) == names | {"cooking recipe": "cooking recipe"}
    path.write_text(json.dumps({"sql": "database", "sql query": "database"}), encoding="utf-8")
    again = normalized(TAGS, mapping_path=str(path), min_tag_count=50)
    assert again == [["database"]] * 4 + [[], []]
    assert first != again


def test_a_file_that_is_no_mapping_is_refused_at_once(tmp_path):
    path = tmp_path / "tags.json"
    path.write_text("[]", encoding="utf-8")
    with pytest.raises(RecipeError, match=r"tag_normalization_mapper: mapping_path .* must hold a JSON object"):
        TagNormalizationMapper(mapping_path=str(path))


def test_tags_do_not_depend_on_how_the_rows_are_cut(monkeypatch):
    parameters = {"merge_similarity": 0.8, "min_support": 2, "min_confidence": 0.9}
    whole = normalized(TAGS, **parameters)
    monkeypatch.setattr(local_rows, "READ_ROWS", 2)
    assert normalized(TAGS, **parameters) == whole


@pytest.mark.parametrize(
    ("rows", "said"),
    [
        ([{"instruction": "a"}], "there is no column 'tags' for the tags_key; put instruction_tag_mapper before"),
        ([{"tags": "a, b"}], "the tags_key 'tags' must hold a list of texts for each row, but its type is string"),
        ([{"instruction": "a", "tags": [1]}], "must hold a list of texts for each row, but its type is list"),
    ],
)
def test_columns_that_hold_no_tags_are_refused(rows, said):
    with pytest.raises(DatasetError, match=f"tag_normalization_mapper: .*{said}"):
        TagNormalizationMapper().run(make_dataset(rows))
