"""The budget: how many rows, which ones, in which order."""

import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops import BudgetSelector, TopicClusterGrouper
from tests.recipe_runs import make_dataset


def ids_of(selector, rows) -> list[str]:
    return selector.run(make_dataset(rows))["id"][:]


def test_random_rows_keep_their_order_and_do_not_depend_on_it(embedded_rows):
    order = [row["id"] for row in embedded_rows]
    drawn = ids_of(BudgetSelector(select_num=30), embedded_rows)
    assert len(drawn) == 30
    assert drawn == [key for key in order if key in set(drawn)]
    assert ids_of(BudgetSelector(select_num=30), embedded_rows[::-1]) == drawn[::-1]
    assert ids_of(BudgetSelector(select_num=30, seed=1), embedded_rows) != drawn


def test_rows_that_are_all_alike_are_drawn_one_by_one(embedded_rows):
    assert len(ids_of(BudgetSelector(select_num=7), embedded_rows[:1] * 20)) == 7


@pytest.mark.parametrize("reverse", [True, False])
def test_the_highest_or_lowest_of_a_key_in_the_stats(embedded_rows, reverse):
    rows = [row | {STATS: {"len": len(row["output"])}} for row in embedded_rows]
    selector = BudgetSelector(select_num=12, field_key=f"{STATS}.len", reverse=reverse)
    kept = set(ids_of(selector, rows))
    lengths = {row["id"]: len(row["output"]) for row in rows}
    inside = [lengths[key] for key in kept]
    outside = [length for key, length in lengths.items() if key not in kept]
    assert len(kept) == 12
    assert min(inside) >= max(outside) if reverse else max(inside) <= min(outside)


def test_a_column_may_decide_and_rows_without_a_number_are_not_chosen(embedded_rows, lines):
    rows = [row | {"n": number if number % 2 else None} for number, row in enumerate(embedded_rows[:10])]
    assert ids_of(BudgetSelector(select_num=2, field_key="n"), rows) == [rows[7]["id"], rows[9]["id"]]
    assert len(ids_of(BudgetSelector(select_num=8, field_key="n"), rows)) == 5
    assert any("5 of 10 samples have a number at n, fewer than the 8 of select_num" in line for line in lines)


def test_fewer_rows_than_asked_for_are_all_kept_once_and_the_log_says_so(embedded_rows, lines):
    assert ids_of(BudgetSelector(select_num=50), embedded_rows[:9]) == [row["id"] for row in embedded_rows[:9]]
    assert any("there are 9 samples, fewer than the 50 of select_num" in line for line in lines)


def test_a_field_that_is_not_there_and_topics_are_refused(embedded_rows):
    with pytest.raises(DatasetError, match=r"no column '__dj__stats__' for the field_key .*'instruction'"):
        BudgetSelector(select_num=3, field_key=f"{STATS}.len").run(make_dataset(embedded_rows))
    with pytest.raises(DatasetError, match="the rows are topics"):
        BudgetSelector(select_num=3).run(TopicClusterGrouper().run(make_dataset(embedded_rows)))


def test_a_field_that_holds_no_number_anywhere_stops_the_run(embedded_rows):
    rows = [row | {"n": str(number)} for number, row in enumerate(embedded_rows[:5])]
    with pytest.raises(DatasetError, match="no sample has a number at the field_key 'n'"):
        BudgetSelector(select_num=3, field_key="n").run(make_dataset(rows))


@pytest.mark.parametrize("counted", ["response", "row"])
def test_a_budget_of_tokens_is_kept_in_the_order_of_the_choice(embedded_rows, counted):
    rows = [row | {"n": number} for number, row in enumerate(embedded_rows[:40])]
    fields = ("output",) if counted == "response" else ("instruction", "input", "output")
    tokens = {row["id"]: max(1, sum(estimate_tokens(row[name]) for name in fields)) for row in rows}
    limit = sum(tokens.values()) // 3
    kept = ids_of(BudgetSelector(select_tokens=limit, budget_of=counted, field_key="n", reverse=False), rows)
    left, expected = limit, []
    for row in rows:
        if tokens[row["id"]] <= left:
            expected.append(row["id"])
            left -= tokens[row["id"]]
    assert kept == expected


def test_two_budgets_are_refused():
    with pytest.raises(RecipeError, match="at most one of select_num and select_tokens"):
        BudgetSelector(select_num=1, select_tokens=1)
