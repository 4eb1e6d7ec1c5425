"""Reading response bodies: servers differ, and any of them may send anything."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.llm.responses import completion_problem, read_completion, reasoning_in, value_at

PATH = "choices.0.message.content"


def chat(content, usage=None, finish="stop", **message):
    choice = {"message": {"content": content, **message}, "finish_reason": finish}
    return {"choices": [choice], "usage": usage, "model": "m"}


def test_a_chat_completion_is_read():
    found = read_completion(chat("fine", {"prompt_tokens": 3, "completion_tokens": 1}), PATH)
    assert (found.text, found.finish_reason, found.model) == ("fine", "stop", "m")
    assert (found.prompt_tokens, found.completion_tokens, found.problem) == (3, 1, None)
    assert not found.only_reasoning


@pytest.mark.parametrize(
    ("usage", "cached"),
    [
        ({"prompt_tokens_details": {"cached_tokens": 1024}}, 1024),
        ({"input_tokens_details": {"cached_tokens": 7}}, 7),
        ({"prompt_cache_hit_tokens": 64, "prompt_cache_miss_tokens": 3}, 64),
        ({"cached_tokens": 0}, 0),
        ({"prompt_tokens_details": None}, None),
        ({"prompt_tokens_details": {"cached_tokens": -1}}, None),
        (None, None),
    ],
)
def test_prompt_tokens_from_a_cache_are_read_by_the_names_that_servers_have_for_them(usage, cached):
    assert read_completion(chat("fine", usage), PATH).cached_tokens == cached


def test_another_shape_is_read_at_its_path():
    payload = {"result": {"text": "fine"}, "usage": {"input_tokens": 3, "output_tokens": 0}}
    found = read_completion(payload, "result.text")
    assert (found.text, found.prompt_tokens, found.completion_tokens, found.model) == ("fine", 3, 0, None)


@pytest.mark.parametrize(
    ("content", "text"),
    [
        ([{"type": "text", "text": "a"}, {"type": "text", "text": "b"}], "ab"),
        ([{"type": "text", "text": None}, {"type": "text", "text": "b"}], "b"),
        ([{"type": "thinking", "text": "Hm."}, {"type": "text", "text": "b"}], "b"),
        ([{"type": "image"}, "x", None], ""),
        (None, ""),
        (7, ""),
        ({"text": "a"}, ""),
    ],
)
def test_an_answer_in_parts_is_read_from_its_texts(content, text):
    assert read_completion(chat(content), PATH).text == text


@pytest.mark.parametrize(
    ("arguments", "problem"),
    [
        (("fine", "stop"), None),
        (("fine", None), None),
        ((" \n", "stop"), FailureReason.EMPTY),
        (("half", "length"), FailureReason.TRUNCATED),
        (("fine", "content_filter"), FailureReason.REFUSED),
        (("", "stop", "No."), FailureReason.REFUSED),
        (("", None, None, True), FailureReason.NO_CHOICES),
        (("", "length", None, True), FailureReason.TRUNCATED),
    ],
)
def test_what_must_not_be_read_as_an_answer(arguments, problem):
    assert completion_problem(*arguments) == problem


@pytest.mark.parametrize(
    ("payload", "only"),
    [
        (chat("", reasoning_content="Hm."), True),
        (chat("<think>Hm.</think>"), True),
        (chat("<think>Hm.</think>So."), False),
        (chat([{"type": "thinking", "thinking": "Hm."}]), True),
        (chat("", {"completion_tokens_details": {"reasoning_tokens": 9}}), True),
        (chat("", {"completion_tokens_details": {"reasoning_tokens": 0}}), False),
        (chat("", reasoning_content="Hm.", refusal="No."), False),
        (chat(""), False),
    ],
)
def test_reasoning_without_an_answer_is_told(payload, only):
    assert read_completion(payload, PATH).only_reasoning is only


def test_the_length_of_reasoning_counts_texts_without_names_of_kinds():
    message = {"reasoning_details": [{"type": "reasoning.text", "text": " four "}], "reasoning": "no"}
    assert reasoning_in({}, message, "") == 4
    deep = "x"
    for _ in range(20):
        deep = [deep]
    assert reasoning_in({}, {"reasoning_details": deep}, "") is None


@pytest.mark.parametrize("count", [True, -1, 2**31, "3", 1.0, None])
def test_a_count_that_is_none_is_not_believed(count):
    assert read_completion(chat("fine", {"prompt_tokens": count}), PATH).prompt_tokens is None


@pytest.mark.parametrize(("path", "value"), [("a.0.b", 1), ("a.1", None), ("c", ""), ("0", "zero")])
def test_a_path_goes_through_keys_and_positions(path, value):
    assert value_at({"a": [{"b": 1}, None], "c": "", "0": "zero"}, path) == value


@pytest.mark.parametrize("path", ["", "a.2", "a.-1", "a.²", "a.b", "c.0", "x"])
def test_nothing_at_a_path_is_not_null(path):
    missing = value_at({"a": [{"b": 1}, None], "c": ""}, path)
    assert missing is not None
    assert not isinstance(missing, (str, int, float, list, dict))


NAMES = ["choices", "message", "content", "usage", "text", "type"]
JSON = st.recursive(
    st.none() | st.booleans() | st.integers() | st.text(max_size=3),
    lambda inner: st.lists(inner, max_size=2) | st.dictionaries(st.sampled_from(NAMES), inner, max_size=3),
    max_leaves=10,
)


@given(JSON)
def test_any_body_is_read(payload):
    found = read_completion(payload, PATH)
    assert isinstance(found.text, str)
    assert found.problem is not None or found.text.strip()
