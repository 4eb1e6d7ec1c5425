"""The reasoning trace in a text and the answer behind it."""

import time

import pytest

from mergeit_ops.core.formats.marks import holds_reasoning
from mergeit_ops.core.formats.traces import Parted, part_trace
from tests.core.formats.test_marks import TRACES


@pytest.mark.parametrize("text", [text for text in TRACES if "think/" not in text])
def test_every_known_form_is_told_apart(text):
    trace, answer, closed = part_trace(text)
    assert trace is not None
    assert trace.strip(".") == "Hm"
    assert (answer, closed) == ("So.", True)


@pytest.mark.parametrize(
    ("text", "parted"),
    [
        ("", Parted(None, "")),
        ("  Plain.\n", Parted(None, "  Plain.\n")),
        # Cut off before its end.
        ("<think>\nHm, so", Parted("Hm, so", "", closed=False)),
        ("<think>", Parted("", "", closed=False)),
        ("<|channel|>analysis<|message|>Hm, so", Parted("Hm, so", "", closed=False)),
        # The template opens it.
        ("Hm.\n</think>\n\nSo.", Parted("Hm.", "So.")),
        ("Hm. </think> So.", Parted("Hm.", "So.")),
        ("</think>So.", Parted("", "So.")),
        ("Hm.\n</think>", Parted("Hm.", "")),
        (
            "I show it:\n```\n</think>\n```\nDone.\n</think>\nSo.",
            Parted("I show it:\n```\n</think>\n```\nDone.", "So."),
        ),
        ("It ends so:\n```\n</think>\n```", Parted(None, "It ends so:\n```\n</think>\n```")),
        # Opened by the template and by the model.
        ("<think>\n<think>\nHm.\n</think>\nSo.", Parted("<think>\nHm.", "So.")),
        # Empty, as models write that can be told not to think.
        ("<think>\n\n</think>\n\nSo.", Parted("", "So.")),
        ("<think/>So.", Parted("", "So.")),
        # Nested.
        ("<think>\na\n<think>\nb\n</think>\nc\n</think>\nSo.", Parted("a\n<think>\nb\n</think>\nc", "So.")),
        # A mark that the trace speaks of.
        ("<think>They ask about <think> tags.</think>So.", Parted("They ask about <think> tags.", "So.")),
        ("<think>They ask about `</think>`.</think>So.", Parted("They ask about `</think>`.", "So.")),
        (
            "<think>I show it:\n```\n</think>\n```\nDone.\n</think>\nSo.",
            Parted("I show it:\n```\n</think>\n```\nDone.", "So."),
        ),
        # A block of code that the trace leaves open hides no end.
        ("<think>\n```\nx = 1\n</think>\nSo.", Parted("```\nx = 1", "So.")),
        # Marks in the answer.
        (
            "<think>Hm.</think>Write `<think>` first:\n```html\n<think>\nx\n</think>\n```\nThat is all.",
            Parted("Hm.", "Write `<think>` first:\n```html\n<think>\nx\n</think>\n```\nThat is all."),
        ),
        ("<think>Hm.</think>Then <think> begins.", Parted("Hm.", "Then <think> begins.")),
        ("<think>\n```\na\n</think>\nA.\n<think>\nb\n</think>\nB.", Parted("```\na\n\nb", "A.\n\nB.")),
        # Answers that only speak of marks.
        ("The </think> tag ends a trace.", Parted(None, "The </think> tag ends a trace.")),
        ("Use `<think>` and `</think>`.", Parted(None, "Use `<think>` and `</think>`.")),
        ("Wrap it in <think>x</think> tags.", Parted(None, "Wrap it in <think>x</think> tags.")),
        ("Write:\n```\n<think>\nx\n</think>\n```", Parted(None, "Write:\n```\n<think>\nx\n</think>\n```")),
        ("Use <b>bold</b> tags.", Parted(None, "Use <b>bold</b> tags.")),
        # Several in one text.
        ("<think>a</think>\nOne.\n<think>\nb\n</think>\nTwo.", Parted("a\n\nb", "One.\n\nTwo.")),
        ("Sure.\n<think>\na\n</think>\nOne.", Parted("a", "Sure.\n\nOne.")),
        # Tags around the answer.
        ("<think>a</think>\n<answer>\n42\n</answer>", Parted("a", "42")),
        ("<think>a</think> It is <answer>42</answer>", Parted("a", "It is <answer>42</answer>")),
        # Another closing mark than the one that belongs there.
        ("<think>a</thinking>So.", Parted("a", "So.")),
        # Harmony: calls and preambles are for others to read.
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>commentary to=functions.f"
            "<|message|>{}<|call|>",
            Parted("a", "to=functions.f {}"),
        ),
        ("<|channel|>final<|message|>So.<|return|>", Parted(None, "So.")),
        (
            "<|channel|>analysis<|message|>a<|end|><|start|>assistant<|channel|>analysis<|message|>b<|end|>"
            "<|start|>assistant<|channel|>final<|message|>So.<|return|>",
            Parted("a\n\nb", "So."),
        ),
    ],
)
def test_what_is_trace_and_what_is_answer(text, parted):
    found = part_trace(text)
    trace = None if found.trace is None else found.trace.strip()
    assert found._replace(trace=trace) == parted


def test_a_text_that_has_a_trace_is_known_to_hold_one():
    """Layouts look for traces only where a mark is."""
    for text in ("<think>a", "a\n</think>\nb", "<think/>", "<|channel|>analysis<|message|>a"):
        assert part_trace(text).trace is not None
        assert holds_reasoning(text)


@pytest.mark.parametrize(
    "text",
    [
        "<think>" * 150_000,
        "\n<think>" * 130_000,
        "<think>" + "</think" * 150_000,
        "<think>\n```\n" + "</think>\n```\n" * 80_000,
        "x " * 500_000 + "</think>" + "y " * 10,
        "<|channel|>analysis<|message|>" * 35_000,
        "<think>" + "a `</think>` " * 80_000,
    ],
)
def test_a_megabyte_takes_no_quadratic_time(text):
    began = time.perf_counter()
    part_trace(text)
    assert time.perf_counter() - began < 10
