"""The checks of a merge before it is taken."""

from __future__ import annotations

import json

import pytest

from mergeit_ops.core.merging.checks import MergeChecks
from mergeit_ops.core.merging.prompts import WORKED_EXAMPLES
from mergeit_ops.core.merging.replies import FailureReason, ReplyError, parse_reply
from mergeit_ops.core.sample import Sample

FISH = Sample("Name a fish that lives in rivers.", "", "The pike lives in rivers and lakes.")
BIRD = Sample("Name a bird that sings in winter.", "", "The wren sings even in winter.")
PARENTS = (FISH, BIRD)
BOTH = {
    "instruction": "Name a fish that lives in rivers and a bird that sings in winter.",
    "input": "",
    "output": "The pike lives in rivers and lakes. The wren sings even in winter.",
}
WITHOUT_BIRD = BOTH | {"output": "The pike lives in rivers and lakes. Many birds are silent."}


def parse(checks: MergeChecks, text: str, parents) -> Sample:
    merged = parse_reply(text, parents)
    checks.check(merged, parents)
    return merged


def test_nothing_is_checked_unless_asked():
    assert not MergeChecks().any
    assert parse(MergeChecks(), json.dumps(WITHOUT_BIRD), PARENTS).output == WITHOUT_BIRD["output"]


def test_a_lost_parent_is_named_to_the_model_with_what_is_missing():
    with pytest.raises(ReplyError) as caught:
        parse(MergeChecks(min_parent_kept=0.5), json.dumps(WITHOUT_BIRD), PARENTS)
    assert caught.value.reason is FailureReason.PARENT_LOST
    assert "record 2: its answer is not in `output`." in caught.value.correction
    assert "record 1" not in caught.value.correction
    assert parse(MergeChecks(min_parent_kept=0.5), json.dumps(BOTH), PARENTS).instruction == BOTH["instruction"]


@pytest.mark.parametrize(
    "changes",
    [
        {"output": f"{FISH.output} Yes."},
        {"output": FISH.output, "instruction": "Name a fish that lives in rivers now."},
    ],
)
def test_nearly_one_parent_is_an_echo(changes):
    row = {"instruction": FISH.instruction, "input": "", "output": FISH.output} | changes
    with pytest.raises(ReplyError) as caught:
        parse(MergeChecks(), json.dumps(row), PARENTS)
    assert caught.value.reason is FailureReason.ECHO
    assert caught.value.correction


def test_parents_that_are_nearly_the_same_may_have_a_merge_like_them():
    twin = Sample("Name a fish that lives in rivers.", "", "The pike lives in rivers and in lakes.")
    row = {"instruction": FISH.instruction, "input": "", "output": "The pike lives in rivers, and in lakes."}
    row["instruction"] = "Name one fish that lives in rivers."
    assert parse(MergeChecks(), json.dumps(row), (FISH, twin)).instruction == row["instruction"]


def test_an_added_demand_is_refused_where_asked():
    row = json.dumps(BOTH | {"instruction": f"{BOTH['instruction']} Use at most ten words."})
    assert parse(MergeChecks(min_parent_kept=0.5), row, PARENTS)
    with pytest.raises(ReplyError) as caught:
        parse(MergeChecks(refuse_added_demands=True), row, PARENTS)
    assert caught.value.reason is FailureReason.ADDED_DEMAND
    assert "at most ten words" in caught.value.correction


def test_the_worked_examples_pass_their_own_checks():
    checks = MergeChecks(min_parent_kept=0.5, refuse_added_demands=True)
    for rows, merged in WORKED_EXAMPLES:
        other = json.dumps(
            {"instruction": f"{merged.instruction} Thanks.", "input": merged.input, "output": merged.output}
        )
        assert parse(checks, other, rows).output == merged.output
