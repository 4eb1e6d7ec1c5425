"""Tree-Instruct: one call for every three nodes, each on the result of the one before, within the limits of words."""

import json
import re

import pytest
from hypothesis import given
from hypothesis import strategies as st

from mergeit_ops.core.rewriting.tree import Tree
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.words import count_words
from tests.core.rewriting.driven import driven, expected

FRUITS = Sample("Name three fruits.", "", "Apple, pear, plum.")


def more(question):
    """Answer with as few words more as are allowed, or with a response."""
    found = re.search(r"has (\d+) words\. Yours must have (\d+) to (\d+)", question.messages[1]["content"])
    if found is None:
        return "A new answer."
    old = json.loads(re.search(r"\[\n(.*)\n\]", question.messages[1]["content"], re.DOTALL)[1])["instruction"]
    return json.dumps({"instruction": " ".join([old, *["more"] * (int(found[2]) - int(found[1]))])})


@pytest.mark.parametrize(("nodes", "calls", "words"), [(3, 1, 15), (6, 2, 27), (9, 3, 39)])
def test_three_nodes_are_one_call_and_twelve_words(nodes, calls, words):
    new, questions = driven(Tree(nodes).chain(FRUITS), more)
    assert len(questions) == calls + 1
    assert count_words(new.instruction) == words
    assert new.instruction.startswith("Name three fruits.")
    assert new.output == "A new answer."
    # Each call is shown the result of the one before.
    assert f"has {words - 12} words" in questions[calls - 1].messages[1]["content"]


def test_each_call_leaves_room_for_the_next():
    _, questions = driven(Tree(9, regenerate_response=False).chain(FRUITS), more)
    limits = [re.search(r"(\d+) to (\d+) words", asked.messages[1]["content"]).groups() for asked in questions]
    assert limits == [("15", "76"), ("27", "88"), ("39", "100")]


def test_an_instruction_without_room_is_known_before_any_call():
    assert Tree(3).problem(Sample("w " * 88, "", "x")) is None
    assert Tree(3).problem(Sample("w " * 89, "", "x")) == "too_many_words"
    assert Tree(6).problem(Sample("w " * 77, "", "x")) == "too_many_words"
    # Two characters of a script without spaces are a word.
    assert Tree(3).problem(Sample("字" * 176, "", "x")) is None
    assert Tree(3).problem(Sample("字" * 178, "", "x")) == "too_many_words"


def test_the_input_is_carried_over_and_no_input_is_made_up():
    new, _ = driven(Tree().chain(Sample("Sum up.", "A text.", "x", system="Be short.")), more)
    assert (new.input, new.system) == ("A text.", "Be short.")


@given(st.integers(0, 88), st.sampled_from([3, 6, 9]))
def test_whatever_has_room_can_be_rewritten_within_the_limits(words, nodes):
    row = Sample(" ".join(["w"] * words), "", "x")
    tree = Tree(nodes)
    if tree.problem(row) is None:
        new, questions = driven(tree.chain(row), more)
        assert words + 4 * nodes <= count_words(new.instruction) <= 100
        assert len(questions) == nodes // 3 + 1


def test_a_dry_run_counts_every_call_of_the_chain():
    _, questions = expected(Tree(6).chain(FRUITS))
    assert len(questions) == 3
    assert "has 23 words" in questions[1].messages[1]["content"]
    assert questions[2].completion_tokens == 5
