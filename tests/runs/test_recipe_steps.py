"""Which operators may have taken rows away, or changed them, behind the merger."""

import pytest

from mergeit_ops.runs.recipe_steps import FLATTENER, GATE, GROUPER, MERGER, RecipeSteps, kind_of, listed

ROLES = {
    "group": {"kind": GROUPER, "gives_ids": True},
    "merge": {"kind": MERGER, "changes_rows": True},
    "gate": {"kind": GATE, "may_drop": True, "records_drops": True},
    "score": {"kind": "", "may_drop": True},
}


def steps(*names):
    return RecipeSteps(names, ROLES)


def test_operators_of_others_may_take_rows_and_only_filters_leave_them_as_they_are():
    others = ("a_mapper", "b_filter", "c_deduplicator", "d_selector")
    behind = steps("group", "merge", *others, "gate", "score").behind(MERGER)
    assert behind.takers == (*others, "score")
    assert behind.changers == ("a_mapper",)


def test_what_stands_before_ours_ends_where_rows_get_their_ids():
    assert steps("a_mapper", "b_filter", "group", "merge").before_ours().names == ("a_mapper", "b_filter")
    assert steps("group").before_ours().names == ()
    assert steps("a_mapper").before_ours().names == ()


def test_parts_of_a_recipe_with_several_mergers():
    recipe = steps("group", "merge", "a_filter", "merge", "gate", "b_filter", "gate")
    assert recipe.behind(MERGER).names == ("gate", "b_filter", "gate")
    assert recipe.behind(MERGER, until=GATE).names == ("gate", "b_filter")
    assert recipe.behind(GATE, until=MERGER).names == ()
    assert recipe.behind(FLATTENER).names == ()
    assert recipe.between_all(MERGER).names == ("merge", "a_filter")
    assert recipe.between_all(FLATTENER).names == ()
    assert recipe.of_kinds({MERGER, GATE}) == ["merge", "merge", "gate", "gate"]


@pytest.mark.parametrize(
    ("record", "kind"),
    [
        ({}, ""),
        ({"role": None}, ""),
        ({"role": "merger"}, ""),
        ({"role": {}}, ""),
        ({"role": {"kind": MERGER}}, MERGER),
    ],
)
def test_the_kind_stands_in_the_role_of_a_record(record, kind):
    assert kind_of(record) == kind


def test_each_name_is_listed_once():
    assert listed(["b", "a", "b"]) == "b, a"
    assert listed([]) == ""
