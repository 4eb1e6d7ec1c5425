"""Tasks from texts: three marks, of which the input's may be missing."""

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.backtranslation.grounded_task import GroundedTask, read_task
from mergeit_ops.core.merging.replies import ReplyError
from mergeit_ops.core.sample import Sample

WHOLE = "#instruction#: Sort the breads.\n#input#: rye, wheat\n#output#: 1. rye\n2. wheat"


@pytest.mark.parametrize(
    ("reply", "task"),
    [
        (WHOLE, Sample("Sort the breads.", "rye, wheat", "1. rye\n2. wheat")),
        # Released code expects the first mark at the start.
        (f"Sure, here it is:\n\n{WHOLE}\n\n", Sample("Sort the breads.", "rye, wheat", "1. rye\n2. wheat")),
        # Released code drops the row.
        ("#instruction#: Name a bread.\n#output#: Rye", Sample("Name a bread.", "", "Rye")),
        ("#instruction#: Name a bread.\n#input#:\n#output#: Rye", Sample("Name a bread.", "", "Rye")),
        ("#instruction#: Name a bread.\n#input#: (None)\n#output#: Rye", Sample("Name a bread.", "", "Rye")),
        ("#instruction#: Name a bread.\n#input#: N/A.\n#output#: none", Sample("Name a bread.", "", "none")),
        # Released code strips a set of characters, which takes the s.
        ("#instruction#: Write.\n#input#:\n#output#: all answers", Sample("Write.", "", "all answers")),
        ("# Instruction #: Write.\n#OUTPUT#: # Head\n\n#tag", Sample("Write.", "", "# Head\n\n#tag")),
        ("<think>#instruction#: no</think>\n#instruction#: Write.\n#output#: x", Sample("Write.", "", "x")),
        ('#instruction#: Write.\n#output#: {"a": "\\alpha"}', Sample("Write.", "", '{"a": "\\alpha"}')),
    ],
)
def test_a_reply_is_split_at_its_marks_wherever_they_stand(reply, task):
    assert read_task(reply) == task


@pytest.mark.parametrize(
    ("reply", "reason"),
    [
        ("", "empty"),
        (" \n", "empty"),
        ("<think>What to ask?</think>", "empty"),
        ("A task about bread.", "unparsable"),
        ("#instruction#: Name a bread.", "unparsable"),
        ("#input#: rye\n#output#: rye", "unparsable"),
        ("#instruction#:\n#input#:\n#output#: rye", "unparsable"),
        ("#instruction#: Name a bread.\n#output#: \n", "unparsable"),
        (f"{WHOLE}\n{WHOLE}", "unparsable"),
        ("I'm sorry, but I cannot help with that.", "refused"),
        ("#instruction#: Write.\n#output#: \ud800", "unparsable"),
        ("#instruction#: Write.\n#output#: " + "x" * 1_000_000, "unparsable"),
    ],
)
def test_any_other_reply_has_a_reason(reply, reason):
    with pytest.raises(ReplyError) as refused:
        read_task(reply)
    assert str(refused.value.reason) == reason


@given(st.lists(st.sampled_from(["#instruction#:", "#input#:", "#output#:", "x", "\n", "none", "<think>", "</think>"])))
def test_no_reply_raises_anything_else_and_what_is_read_is_whole(parts):
    reply = " ".join(parts)
    try:
        task = read_task(reply)
    except ReplyError:
        return
    assert task.instruction.strip()
    assert task.output.strip()
    assert "#:" not in task.instruction + task.input + task.output


def test_a_task_is_checked_against_the_text():
    with pytest.raises(ReplyError) as refused:
        GroundedTask().read("#instruction#: What does the text above say?\n#output#: Rye.", "Rye is a bread.")
    assert str(refused.value.reason) == "procedure"


def test_a_reply_is_expected_to_be_as_long_as_the_text():
    assert GroundedTask().completion_tokens("x" * 400) == 100 + 60
    assert GroundedTask.schema is None
