"""Rows that were lost in operators of Data-Juicer before or between ours."""

from types import SimpleNamespace

from mergeit_ops.dataset.lost_rows import Arrival, check_arrival, follows_others
from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.dataset.run_log import RunLog
from mergeit_ops.ops import __all__ as _registered  # noqa: F401


def recipe(*names, executor="default"):
    return Recipe(tuple(Step(name, {}) for name in names), None, ("text",), executor, SimpleNamespace(work_dir="w"))


NAMES = ["words_num_filter", "topic_cluster_grouper", "text_length_filter", "alphanumeric_filter", "diversity_selector"]
STEPS = recipe(*NAMES)


def test_only_the_operators_since_the_last_of_ours_are_looked_at():
    said = RunLog(raised={"words_num_filter": 1, "text_length_filter": 1_200}, errors={"text_length_filter": "boom"})
    (warning,) = Arrival(STEPS, 4, said).warnings()
    assert warning.startswith("text_length_filter raised 1,200 times, first with: boom.")
    assert Arrival(STEPS, 2, said).warnings() == []
    (before,) = Arrival(STEPS, 1, said).warnings()
    assert before.startswith("words_num_filter raised 1 time")


def test_the_counts_say_where_rows_were_lost():
    said = RunLog(left={2: 9, 3: 4, 4: 0})
    arrival = Arrival(STEPS, 4, said)
    assert arrival.had_rows()
    assert arrival.explanation().startswith(
        "no rows reached this operator after text_length_filter (9 rows before it, 4 after), "
        "alphanumeric_filter (4 rows before it, 0 after). Either they filter too strictly"
    )
    assert not Arrival(STEPS, 4, RunLog(left={2: 0})).had_rows()


def test_an_operator_that_raised_is_blamed():
    said = RunLog(raised={"text_length_filter": 2}, errors={"text_length_filter": "boom"}, left={2: 9})
    text = Arrival(STEPS, 4, said).explanation()
    assert "text_length_filter raised (boom), and Data-Juicer drops every batch" in text
    assert "skip_op_error: false" in text


def test_without_counts_rows_are_taken_to_have_been_there_if_others_came_between():
    assert Arrival(STEPS, 4, RunLog()).had_rows()
    assert not Arrival(STEPS, 2, RunLog()).had_rows()


def test_an_operator_without_a_recipe_accepts_any_number_of_rows():
    operator = SimpleNamespace(_name="diversity_selector", work_dir="no such run")
    check_arrival(operator, 0)
    assert not follows_others(operator)
