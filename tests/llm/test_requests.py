"""What an engine is asked."""

import pytest

from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.llm.requests import LLMRequest, completion_cap, expected_completion_tokens


def request(content: str = "hello there", **fields):
    return LLMRequest("tag", ({"role": "user", "content": content},), str, **fields)


def test_a_correction_follows_the_answer_that_could_not_be_used():
    asked = request()
    again = asked.corrected("<|im_start|>half", "Write the rest too.")
    assert [turn["role"] for turn in again.messages] == ["user", "assistant", "user"]
    assert "half" in again.messages[1]["content"]
    assert "<|im_start|>" not in again.messages[1]["content"]
    assert again.messages[2]["content"] == "Write the rest too."
    assert len(asked.messages) == 1
    assert asked.corrected("half", "") is asked


@pytest.mark.parametrize(
    ("params", "cap"),
    [
        ({}, None),
        ({"max_tokens": None}, None),
        ({"max_tokens": 5}, 5),
        ({"max_tokens": 9, "max_completion_tokens": 5}, 5),
        ({"max_new_tokens": 5}, 5),
        ({"extra_body": {"max_tokens": 5}}, 5),
        ({"max_tokens": 9, "extra_body": {"max_tokens": 5}}, 5),
        ({"extra_body": None}, None),
        ({"max_tokens": "many"}, None),
    ],
)
def test_the_lowest_cap_counts(params, cap):
    assert completion_cap(params) == cap


def test_an_answer_is_expected_to_be_as_long_as_the_last_turn_and_no_longer_than_its_cap():
    size = estimate_tokens("hello there")
    assert expected_completion_tokens(request(), {}) == size
    assert expected_completion_tokens(request(), {"max_tokens": 1}) == 1
    assert expected_completion_tokens(request(completion_tokens=70), {}) == 70
    assert expected_completion_tokens(request(completion_tokens=0), {"max_tokens": 5}) == 0
    assert expected_completion_tokens(LLMRequest("tag", (), str), {}) == 0
