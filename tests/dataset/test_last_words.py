"""The error of somebody else is explained behind its traceback."""

from __future__ import annotations

import sys

import pytest

from mergeit_ops.dataset import last_words
from mergeit_ops.errors import RecipeError


@pytest.fixture
def ends(monkeypatch, lines):
    """Return what is said when the process ends with an error."""
    monkeypatch.setattr(sys, "excepthook", lambda *error: None)
    monkeypatch.setattr(last_words, "_explainers", [])

    def end(error):
        lines.clear()
        sys.excepthook(type(error), error, None)
        return list(lines)

    return end


def test_the_first_explanation_of_an_error_or_of_its_cause_is_said(ends):
    last_words.explain_failures(lambda causes: "A" if any(isinstance(one, KeyError) for one in causes) else None)
    last_words.explain_failures(lambda causes: "B")
    error = ValueError("x")
    assert ends(error) == ["B"]
    error.__cause__ = KeyError("y")
    assert ends(error) == ["A"]


def test_an_error_of_ours_explains_itself(ends):
    last_words.explain_failures(lambda causes: "A")
    error = ValueError("x")
    error.__cause__ = RecipeError("y")
    assert ends(error) == []


def test_an_explainer_is_asked_once(ends):
    def explain(causes):
        asked.append(causes)

    asked = []
    last_words.explain_failures(explain)
    last_words.explain_failures(explain)
    assert ends(ValueError("x")) == []
    assert len(asked) == 1


def test_the_hook_before_it_shows_the_traceback_first(monkeypatch, lines):
    monkeypatch.setattr(sys, "excepthook", lambda *error: lines.append(error))
    monkeypatch.setattr(last_words, "_explainers", [])
    last_words.explain_failures(lambda causes: "A")
    error = ValueError("x")
    lines.clear()
    sys.excepthook(ValueError, error, None)
    assert lines == [(ValueError, error, None), "A"]


def test_an_explainer_that_fails_says_nothing(ends):
    last_words.explain_failures(lambda causes: 1 / 0)
    assert ends(ValueError("x")) == []


def test_an_interrupt_is_not_explained(ends):
    last_words.explain_failures(lambda causes: "A")
    error = KeyboardInterrupt()
    error.__context__ = KeyError("y")
    assert ends(error) == []


def test_the_cause_is_found_behind_an_attribute_that_is_no_error(ends):
    last_words.explain_failures(lambda causes: "A" if any(isinstance(one, KeyError) for one in causes) else None)
    error = ValueError("x")
    error.cause = "text"
    error.__cause__ = KeyError("y")
    assert ends(error) == ["A"]
