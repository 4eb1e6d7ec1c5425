"""Demands in a merged instruction that no parent makes."""

from __future__ import annotations

import pytest

from mergeit_ops.core.merging.added_demands import added_demand
from mergeit_ops.core.merging.conversations import CONVERSATIONS
from mergeit_ops.core.merging.prompts import PROMPT_STYLES
from mergeit_ops.core.sample import Sample

FISH = Sample("Name a fish that lives in rivers.", "", "The pike lives in rivers and lakes.")


BIRD = Sample("Name a bird that sings in winter.", "", "The wren sings even in winter.")


PARENTS = (FISH, BIRD)


BOTH = {
    "instruction": "Name a fish that lives in rivers and a bird that sings in winter.",
    "input": "",
    "output": "The pike lives in rivers and lakes. The wren sings even in winter.",
}


@pytest.mark.parametrize(
    ("instruction", "found"),
    [
        ("Name a fish and a bird, each in at most ten words.", "at most ten words"),
        ("Name a fish and a bird in no more than 50 words.", "no more than 50 words"),
        ("Name exactly three fish and a bird.", "exactly three fish"),
        ("Name a fish and a bird, and how do you find the circumference of a circle?", "you find the circumference"),
        ("Name a fish that lives in rivers and a bird that sings in winter.", ""),
        ("Which fish lives in rivers, and which bird may be heard when it is cold?", ""),
    ],
)
def test_limits_and_phrases_of_the_prompt_are_added_demands(instruction, found):
    assert added_demand(PARENTS, Sample(instruction, "", BOTH["output"])) == found


def test_what_a_parent_asks_is_not_added():
    limited = Sample(
        "Name a fish in at most ten words, and how do you find the circumference of a circle?", "", "A pike."
    )
    merged = Sample("Name a bird and a fish in at most 10 words or in at most ten words.", "", "x")
    assert added_demand((limited, BIRD), Sample(limited.instruction, "", "x")) == ""
    assert added_demand((limited, BIRD), merged) == "at most 10 words"


@pytest.mark.parametrize("strategy", list(CONVERSATIONS))
@pytest.mark.parametrize("style", PROMPT_STYLES)
def test_a_sentence_copied_from_any_system_prompt_is_an_added_demand(strategy, style):
    parents = [Sample("Name a colour.", "", "Red."), Sample("Name a bird.", "", "A wren.")]
    words = CONVERSATIONS[strategy][style].system_prompt.split()
    for start in range(0, len(words) - 12, 12):
        copied = " ".join(words[start : start + 12])
        assert added_demand(parents, Sample(f"Name a colour and a bird. {copied}", "", "Red. A wren."))
