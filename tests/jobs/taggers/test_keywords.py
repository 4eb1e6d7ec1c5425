"""Key phrases of the instructions as tags."""

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Sample
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.taggers.keywords import KeywordTagger
from tests.recipe_runs import make_dataset

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "input", "output"]), EncoderSettings("none"))


def ready(texts, **parameters):
    rows = [{"instruction": text, "input": "", "output": "x"} for text in texts]
    return KeywordTagger(**parameters).ready(LocalRows(make_dataset(rows)), READER)


def test_phrases_of_too_few_rows_are_no_tags():
    tagger = ready(["Write a poem about rain.", "Write a poem about snow.", "Explain rain."])
    (tags,) = tagger.tags([Sample("Write a poem about snow and rain.", "", "")])
    assert "snow" not in tags
    assert "rain" in tags
    assert any("poem" in tag for tag in tags)


@pytest.mark.parametrize("most", [1, 2])
def test_a_row_has_no_more_tags_than_asked_for(most):
    tagger = ready(["Rivers, lakes, forests, birds."] * 2, max_tags=most, min_tag_count=1)
    (tags,) = tagger.tags([Sample("Rivers, lakes, forests, birds.", "", "")])
    assert len(tags) == most


def test_the_input_is_tagged_where_there_is_no_instruction():
    tagger = ready(["the river"] * 2)
    assert tagger.tags([Sample(" ", "a river", "x"), Sample("", "", "x"), Sample("?", "river", "x")]) == [
        ["river"],
        [],
        [],
    ]


def test_no_rows_have_no_phrases():
    assert ready([]).tags([Sample("Write a poem.", "", "")]) == [[]]
