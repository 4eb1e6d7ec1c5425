"""Filters of ours on Ray: what operators of Data-Juicer left for them is looked at before they are mapped."""

from __future__ import annotations

import pytest

from mergeit_ops.distributed.lazy_arrival import check_lazy_arrival
from mergeit_ops.errors import DatasetError
from mergeit_ops.ops import QualityGateFilter
from tests.recipe_runs import read_export, run_recipe_on_ray
from tests.test_recipe_checks import FAILS_ON_LISTS, WORDS, chats, recipe_over, with_text

GATE = {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", "score_all": True}}


def test_a_filter_without_a_recipe_takes_what_comes():
    check_lazy_arrival(QualityGateFilter(scorer="tests.user_scorers:ByLength"))


def test_a_filter_to_which_no_row_comes_stops_the_run(ray_cluster, tmp_path, embedded_rows):
    recipe = recipe_over(tmp_path, chats(embedded_rows), [FAILS_ON_LISTS, GATE], "messages")
    with pytest.raises(
        DatasetError, match=r"^quality_gate_filter: no rows reached this .* after words_num_filter.*skip"
    ):
        run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "export"))


def test_rows_that_come_to_a_filter_are_scored(ray_cluster, tmp_path, embedded_rows):
    recipe = recipe_over(tmp_path, with_text(embedded_rows), [WORDS, GATE], "query")
    rows = read_export(run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "export")))
    assert len(rows) == len(embedded_rows)
    assert all(row["__dj__stats__"]["quality_score"] == len(row["response"]) for row in rows)
