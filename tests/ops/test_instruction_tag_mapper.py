"""Tags of instructions: a typed column, only questions, the same however the rows are cut."""

import pyarrow as pa
import pytest

from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs import local_rows
from mergeit_ops.ops import InstructionTagMapper
from tests.recipe_runs import make_dataset

ROWS = [
    {"instruction": "Write a poem about autumn.", "input": "", "output": "Leaves fall, leaves fall."},
    {"instruction": "Write a poem about rain!", "input": "Rain, rain", "output": "Leaves fall."},
    {"instruction": "", "input": "autumn rain", "output": "x"},
    {"instruction": "Sing.", "input": "poem", "output": "poem"},
]


def tags_of(rows, **parameters):
    return InstructionTagMapper(**parameters).run(make_dataset(rows))["tags"][:]


def test_tags_are_key_phrases_of_the_instruction_that_other_rows_have_too():
    # What only an output or an input has is no tag, unless there is no instruction.
    assert tags_of(ROWS) == [["write poem", "autumn"], ["write poem", "rain"], ["autumn", "rain"], []]
    assert tags_of(ROWS, max_tags=1)[0] == ["write poem"]
    assert tags_of(ROWS, ngram_max=1)[0] == ["write", "poem", "autumn"]
    assert tags_of(ROWS, min_tag_count=1)[3] == ["sing"]
    assert tags_of(ROWS, min_tag_count=3.0) == [[]] * 4


def test_all_questions_of_a_conversation_are_tagged_and_no_answer():
    def turns(*texts):
        roles = ["user", "assistant"] * 2
        return {"messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]}

    rows = [turns("Sort the list.", "Done: cheese", "Explain recursion."), turns("Explain the list", "cheese")]
    assert tags_of(rows) == [["list", "explain"], ["explain", "list"]]


def test_the_column_holds_lists_of_texts_from_the_first_row_on():
    dataset = InstructionTagMapper().run(make_dataset([ROWS[3], *ROWS[:2]]))
    assert dataset.features.arrow_schema.field("tags").type == pa.list_(pa.string())
    assert dataset["tags"][0] == []
    assert dataset["instruction"][:] == ["Sing.", ROWS[0]["instruction"], ROWS[1]["instruction"]]


def test_tags_do_not_depend_on_how_the_rows_are_cut(sample_rows, monkeypatch):
    whole = tags_of(sample_rows)
    monkeypatch.setattr(local_rows, "READ_ROWS", 37)
    assert tags_of(sample_rows) == whole
    assert sum(map(bool, whole)) > 0.95 * len(whole)


def test_a_column_of_that_name_is_not_overwritten():
    rows = [row | {"tags": "mine"} for row in ROWS]
    with pytest.raises(DatasetError, match="instruction_tag_mapper: there is a column 'tags' already; name another"):
        InstructionTagMapper().run(make_dataset(rows))
    tagged = InstructionTagMapper(tags_key="intents").run(make_dataset(rows))
    assert (tagged["tags"][0], tagged["intents"][0]) == ("mine", ["write poem", "autumn"])


def test_the_record_says_how_many_tags_rows_have(tmp_path):
    InstructionTagMapper(work_dir=str(tmp_path)).run(make_dataset(ROWS))
    figures = read_manifests(tmp_path)[-1]["figures"]
    assert (figures["untagged"], figures["mean_tags"]) == (1, 1.5)


def test_rows_most_of_which_cannot_be_read_are_refused():
    rows = [row | {"instruction": "", "input": ""} for row in ROWS[:3]] + ROWS[:1]
    with pytest.raises(DatasetError, match="instruction_tag_mapper: 3 of 4 rows have no text"):
        InstructionTagMapper().run(make_dataset(rows))
