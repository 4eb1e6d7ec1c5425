"""Reading texts of an object and whole responses."""

from contextlib import suppress

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.rewriting.replies import read_response, read_texts, schema_of
from mergeit_ops.core.sample import Sample

ROW = Sample("Ask.", "", "Answer.")


@pytest.mark.parametrize(
    "text",
    [
        '{"instruction": " Ask more. ", "input": ""}',
        '```json\n{"instruction": "Ask more.", "input": ""}\n```',
        '<think>{"instruction": "no"}</think>{"instruction": "Ask more.", "input": ""}',
        '[{"instruction": "Ask more.", "input": "", "output": "not asked for"}]',
    ],
)
def test_texts_are_read_from_the_object_however_it_is_wrapped(text):
    assert read_texts(text, ("instruction", "input"), ROW) == ("Ask more.", "")


@pytest.mark.parametrize(
    ("text", "reason"),
    [
        ("", "empty"),
        ("Ask more.", "unparsable"),
        ('{"instruction": 5}', "unparsable"),
        ('{"instruction": ["Ask"]}', "unparsable"),
        ('{"request": "Ask more."}', "unparsable"),
        ('{"instruction": "Ask mo', "unparsable"),
        ('{"instruction": "a\\ud800"}', "unparsable"),
        ('{"instruction": "What is $\\frac{1}{2}$?"}', "unparsable"),
        ("I'm sorry, but I cannot help with that.", "refused"),
    ],
)
def test_what_is_no_such_object_has_a_reason(text, reason):
    with pytest.raises(ReplyError, match=reason):
        read_texts(text, ("instruction",), ROW)


def test_a_response_is_the_whole_answer_without_its_reasoning():
    assert read_response("<think>Hm.</think>\n\nOne.\n\nTwo. \n", ROW) == "One.\n\nTwo."
    assert read_response('{"a": 1}', ROW) == '{"a": 1}'
    for text, reason in [(" ", "empty"), ("<think>Hm.", "empty"), ("x\ud800", "unparsable")]:
        with pytest.raises(ReplyError, match=reason):
            read_response(text, ROW)


def test_a_refusal_is_a_response_only_where_the_row_has_one():
    refusal = "I'm sorry, but I can't help with that."
    with pytest.raises(ReplyError, match="refused"):
        read_response(refusal, ROW)
    assert read_response(refusal, Sample("Ask.", "", "I cannot assist with this request.")) == refusal


def test_the_schema_wants_just_these_texts():
    schema = schema_of(("instruction", "output"))
    assert schema["required"] == ["instruction", "output"]
    assert schema["properties"] == {"instruction": {"type": "string"}, "output": {"type": "string"}}
    assert schema["additionalProperties"] is False


@given(st.text(max_size=80))
def test_no_text_raises_anything_else(text):
    for read in (lambda: read_texts(text, ("instruction",), ROW), lambda: read_response(text, ROW)):
        with suppress(ReplyError):
            assert "".join(read())
