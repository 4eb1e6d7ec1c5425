"""Constraints of parameters: the values that each accepts, its description, and its error message."""

from __future__ import annotations

import math
from pathlib import Path

import pytest

from mergeit_ops.constraints import (
    FLAG,
    MAPPING,
    NAMES,
    OPTIONAL_PATH,
    OPTIONAL_TEXT,
    TEXT,
    Number,
    OneOf,
    SomeOf,
    check,
)
from mergeit_ops.errors import RecipeError

TAKEN = [
    (Number(low=0, high=1), [0, 0.5, 1], [-0.1, 1.1, math.nan, True, "1", None], "a number in [0, 1]"),
    (Number(low=0, low_open=True, optional=True), [1e-9, None], [0, math.inf], "a number above 0 or null"),
    (Number(low=0, high=2**32 - 1, integer=True), [2**32 - 1], [2**32], "a whole number in [0, 4294967295]"),
    (Number(low=1, integer=True), [1, 2.0], [0, 1.5, None], "a whole number of at least 1"),
    (Number(low=0, high=1, words=("auto",)), [0.5, "auto"], ["x", "0.5", 2], "a number in [0, 1] or 'auto'"),
    (OneOf(("a", "b")), ["a"], ["c", None, 1, ["a"]], "one of 'a', 'b'"),
    (OneOf({"a": 1}, optional=True), ["a", None], ["b"], "one of 'a' or null"),
    (SomeOf(("a", "b")), [["a"], ("b", "a")], [[], ["a", "a"], ["c"], "a", None], "a list of one or more of 'a', 'b'"),
    (FLAG, [True, False], [0, 1, None, "true"], "true or false"),
    (TEXT, ["x"], ["", " \n", None, 1], "a non-empty text"),
    (OPTIONAL_TEXT, ["x", None], ["", 1], "a non-empty text or null"),
    (OPTIONAL_PATH, ["x", Path("x"), None], ["", 3], "a path or null"),
    (NAMES, [["a", "b"], (), None], [["a", ""], "a", [1]], "a list of non-empty texts or null"),
    (MAPPING, [{}, {"a": 1}, None], [{1: 2}, ["a"], "a"], "a mapping of names to values or null"),
]


@pytest.mark.parametrize(("constraint", "allowed", "refused", "words"), TAKEN, ids=lambda value: str(value)[:30])
def test_a_constraint_takes_what_its_words_say(constraint, allowed, refused, words):
    assert str(constraint) == words
    assert all(constraint.allows(value) for value in allowed)
    assert not any(constraint.allows(value) for value in refused)


def test_the_first_value_outside_is_named_with_its_owner():
    constraints = {"share": Number(low=0, high=1), "name": TEXT}
    with pytest.raises(RecipeError) as caught:
        check(constraints, {"share": 2, "name": ""}, "some_filter")
    assert str(caught.value) == "some_filter: share must be a number in [0, 1], got 2."
    check(constraints, {"share": 1, "name": "x", "other": object()})


@pytest.mark.parametrize(
    "value",
    [
        '{"default_headers": {"X-Key": "hunter2"}}',
        ["sk-hunter2hunter2hunter2"],
        "Bearer hunter2",
        [{"api_key": "hunter2"}],
    ],
)
def test_a_refusal_does_not_repeat_a_secret(value):
    with pytest.raises(RecipeError, match="model_params must be a mapping") as caught:
        check({"model_params": MAPPING}, {"model_params": value})
    assert "hunter2" not in str(caught.value)
