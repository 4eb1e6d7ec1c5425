"""The content of a chat turn, and values that are as good as none."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.formats.content import Content, as_text, in_form_of, is_empty, read_content

NAN = float("nan")
TEXT_PART = {"type": "text", "text": "Why?"}
THOUGHT = {"type": "thinking", "thinking": "Hm."}


@pytest.mark.parametrize(
    ("value", "text"),
    [("a", "a"), (None, ""), (7, "7"), (0.5, "0.5"), (True, "True"), ([], ""), ({"a": 1}, ""), (b"x", ""), (NAN, "")],
)
def test_values_as_text(value, text):
    assert as_text(value) == text


@pytest.mark.parametrize(
    "value",
    [
        None,
        "",
        " \n",
        "[]",
        " {} ",
        "null",
        [],
        {},
        [None],
        {"a": None, "b": [{"c": ""}]},
        ((), [[]]),
        NAN,
        [NAN, None],
    ],
)
def test_what_holds_nothing_is_empty(value):
    assert is_empty(value)


@pytest.mark.parametrize("value", [0, False, 0.0, "a", "[1]", [0], {"a": False}, b""])
def test_zero_and_false_are_something(value):
    assert not is_empty(value)


@pytest.mark.parametrize(
    ("value", "content"),
    [
        ("Why?", Content("Why?")),
        (None, Content("")),
        ([], Content("")),
        ([TEXT_PART], Content("Why?")),
        (TEXT_PART, Content("Why?")),
        (["Why", {"text": "not?"}], Content("Why\nnot?")),
        ([{"type": "input_text", "text": "a"}, {"type": "output_text", "text": "b"}], Content("a\nb")),
        ([TEXT_PART, None], Content("Why?")),
        ([TEXT_PART, {"type": "image_url", "image_url": {"url": "x"}}], Content("Why?", more=True)),
        ([TEXT_PART | {"cache_control": {"type": "ephemeral"}}], Content("Why?", more=True)),
        ([TEXT_PART | {"cache_control": None}], Content("Why?")),
        ([THOUGHT, TEXT_PART], Content("Why?", thoughts=(THOUGHT,))),
        ([{"type": "text", "text": None}, TEXT_PART], Content("Why?", more=True)),
        ([7, TEXT_PART], Content("Why?", odd=True)),
        (7, Content("7", odd=True)),
    ],
)
def test_content_is_read_part_by_part(value, content):
    assert read_content(value) == content


@pytest.mark.parametrize(
    ("like", "expected"),
    [
        ("a", "T"),
        (None, "T"),
        (7, "T"),
        ([TEXT_PART, TEXT_PART], [{"type": "text", "text": "T"}]),
        ([{"type": "text", "text": "a", "image": None}], [{"type": "text", "text": "T", "image": None}]),
        ([{"text": "a"}], [{"text": "T"}]),
        (["a", "b"], ["T"]),
        (TEXT_PART, {"type": "text", "text": "T"}),
        ([], [{"type": "text", "text": "T"}]),
        ([{"type": "", "text": ""}], [{"type": "text", "text": "T"}]),
    ],
)
def test_a_text_takes_the_form_of_another_content(like, expected):
    assert in_form_of("T", like) == expected
    assert read_content(in_form_of("T", like)) == Content("T")


JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.floats() | st.text(),
    lambda inner: (
        st.lists(inner, max_size=3) | st.dictionaries(st.sampled_from(["type", "text", "thinking", "x"]), inner)
    ),
    max_leaves=8,
)


@given(JSON)
def test_whatever_stands_there_is_read_and_can_be_written(value):
    content = read_content(value)
    assert isinstance(content.text, str)
    if content == Content(content.text):
        assert read_content(in_form_of("T", value)) == Content("T")
    if is_empty(value) and not isinstance(value, str):
        assert as_text(value) == ""
