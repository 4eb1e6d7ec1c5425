"""The one view of an instruction row."""

import pytest

from mergeit_ops.core.sample import Exchange, Sample
from mergeit_ops.core.tool_use import ToolUse


@pytest.mark.parametrize(
    ("instruction", "material", "query"),
    [
        ("Sum up.", "A text.", "Sum up. A text."),
        (" Sum up.\n", "\tA text. ", "Sum up. A text."),
        ("Sum up.", " \n", "Sum up."),
        ("", "A text.", " A text."),
        ("", "", ""),
        ("要約", "本文\u3000", "要約 本文"),
    ],
)
def test_the_query_is_the_instruction_a_space_and_the_input(instruction, material, query):
    assert Sample(instruction, material, "not embedded", "nor this").query == query


def test_samples_with_equal_texts_are_one():
    assert len({Sample("a", "", "b"), Sample("a", "", "b", ""), Sample("a", "", "b", "S")}) == 2


def test_parts_tell_rows_with_the_same_texts_apart():
    """A merge is known by its texts, and a stat by these too."""
    plain = Sample("a", "", "b")
    traced = Sample("a", "", "b", exchanges=(Exchange("a", "Hm.", "b", "b", True),))
    calling = Sample("a", "", "b", tool_use=ToolUse())
    assert plain.content == traced.content == calling.content
    assert plain.parts == {}
    assert traced.parts != calling.parts
    assert len({plain, traced, calling}) == 3


def test_the_text_that_a_sample_was_made_of_is_no_text_of_its_own():
    assert Sample("a", "", "b", source="s").content == Sample("a", "", "b").content
    assert Sample("a", "", "b", source="s").parts == {"source": "s"}
    assert Sample("a", "", "b", source="s") != Sample("a", "", "b")
