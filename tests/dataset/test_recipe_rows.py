"""Which rows each operator of a recipe gets."""

import pytest

from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.dataset.recipe_rows import check_rows
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import __all__ as _registered  # noqa: F401

GROUP, MERGE, FLATTEN = "topic_cluster_grouper", "llm_pair_merger_mapper", "topic_reverse_grouper"


def check(*names):
    return check_rows(Recipe(tuple(Step(name, {}) for name in names), None, ("text",), "default"))


@pytest.mark.parametrize(
    "names",
    [
        (),
        ("words_num_filter",),
        (GROUP, MERGE),
        (GROUP, "diversity_selector", MERGE, "quality_gate_filter"),
        (GROUP, FLATTEN, "words_num_filter"),
        ("naive_grouper", "naive_reverse_grouper"),
        ("no_such_operator", MERGE),
        (GROUP, "no_such_operator"),
    ],
)
def test_rows_of_the_right_kind_pass_without_a_word(names):
    assert check(*names) == []


@pytest.mark.parametrize(
    ("names", "words"),
    [
        ((GROUP,), "still topics at the end"),
        ((GROUP, "diversity_selector", "quality_gate_filter", MERGE), "quality_gate_filter: the rows are topics"),
        ((GROUP, "words_num_filter", MERGE), "words_num_filter reads a column of samples"),
        ((GROUP, GROUP, MERGE), "remove one of the two groupers, or put"),
        ((GROUP, MERGE, MERGE), "the rows are flat samples"),
        ((GROUP, FLATTEN, FLATTEN), "the rows are flat samples"),
        (("naive_grouper", MERGE, GROUP), "still topics"),
    ],
)
def test_rows_of_the_wrong_kind_are_refused_with_the_cure(names, words):
    with pytest.raises(RecipeError, match=words):
        check(*names)


def test_an_operator_that_reads_no_column_is_only_warned_about():
    (warning,) = check(GROUP, "general_field_filter", MERGE)
    assert warning.startswith("general_field_filter is between topic_cluster_grouper and the operator that flattens")
