"""How a selection runs: the parts that need no rows."""

import numpy as np
import pyarrow as pa

from mergeit_ops.core.columns import STATS
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import json_array
from mergeit_ops.jobs.selection_run import _add_stats, _budgets_by_centres, _ordered, _placed


def test_topics_are_put_in_the_order_of_their_ids_and_values_find_their_way_back():
    told = [[(7, "h"), (2, "c")], [], [(0, "a"), (5, "f")]]
    ordered, places = _ordered(told)
    assert ordered == ["a", "c", "f", "h"]
    assert _placed([value.upper() for value in ordered], places, told) == [["H", "C"], [], ["A", "F"]]
    assert _ordered([]) == ([], [])
    assert _placed([], [], [[], []]) == [[], []]


def test_budgets_by_centres_are_spent_whole_and_never_above_the_rows_of_a_topic():
    centres = [np.array([1.0, 0]), np.array([0.9, 0.1]), np.array([0, 1.0])]
    topics = list(zip([5, 50, 20], centres, strict=True))
    for total in (0, 1, 30, 75):
        budgets = _budgets_by_centres(topics, total)
        assert sum(budgets) == total
        assert all(0 <= budget <= size for budget, (size, _) in zip(budgets, topics, strict=True))
    assert _budgets_by_centres([], 3) == []


def test_a_row_about_which_a_method_says_nothing_gets_no_key():
    table = pa.table({"text": ["a", "b"], STATS: json_array([{"own": 1}, {}])})
    found, _ = _add_stats(table, {"part": ["near", None], "label": [0, None]})
    assert stats_of(found) == [{"own": 1, "part": "near", "label": 0}, {}]
    bare, _ = _add_stats(pa.table({"text": ["a", "b"]}), {})
    assert stats_of(bare) == [{}, {}]
