"""Checks of responses: what is no answer, and how large an answer can be."""

from __future__ import annotations

import pytest

from mergeit_ops.llm.response_guard import max_response_bytes

MIB = 2**20


@pytest.mark.parametrize(
    ("sampling_params", "mib"),
    [
        ({}, 16),
        ({"max_tokens": 1}, 4),
        ({"max_completion_tokens": 16384}, 9),
        ({"extra_body": {"max_tokens": 16384}}, 9),
        ({"max_tokens": 1000, "logprobs": 20}, 9),
        ({"max_tokens": 10**12}, 16),
        ({"max_tokens": None}, 16),
        ({"max_tokens": "many"}, 16),
        ({"max_tokens": 0}, 16),
        ({"max_tokens": True}, 16),
    ],
)
def test_the_bound_follows_from_the_cap_on_tokens(sampling_params, mib):
    assert round(max_response_bytes(sampling_params) / MIB) == mib
