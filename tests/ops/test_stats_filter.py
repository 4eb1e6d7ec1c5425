"""Filters by stats: what they write, what they leave, and what only a look at the stats does."""

import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops import SampleScoreFilter, TopicClusterGrouper
from tests.llm_server import FakeLLMServer, judgement
from tests.ops.scored import LENGTH, by_length, rows
from tests.recipe_runs import make_dataset


def test_looking_at_stats_filters_nothing_and_marks_nothing():
    looking = by_length(min_score=4, on_missing_score="raise")
    looking.process = None  # as Data-Juicer's analyzer does
    looked = looking.run(make_dataset(rows("one", " ")))
    assert [row[STATS][LENGTH] for row in looked] == [3.0, None]
    assert LENGTH + "_made_by" not in looked[0][STATS]


def test_stats_of_other_operators_stay():
    given = [row | {STATS: {"num_words": number}} for number, row in enumerate(rows("one", "two"))]
    scored = by_length().run(make_dataset(given))
    assert [row[STATS]["num_words"] for row in scored] == [0, 1]


def test_data_juicers_batches_are_scored_too():
    given = rows("one", "three")
    batch = {name: [row[name] for row in given] for name in ("instruction", "input", "output")}
    scored = by_length().compute_stats({**batch, STATS: [{}, {}]})
    assert [stats[LENGTH] for stats in scored[STATS]] == [3, 5]


def test_the_rows_of_a_topic_are_not_flat(embedded_rows):
    with pytest.raises(DatasetError, match="sample_score_filter: the rows are topics"):
        by_length().run(TopicClusterGrouper(num_clusters=2).run(make_dataset(embedded_rows[:9])))


def test_dj_analyze_asks_no_server(lines):
    given = make_dataset(rows("one", "three"))
    with FakeLLMServer(lambda body: judgement(3)) as server:
        params = {"model_params": {"base_url": server.base_url}, "cache_path": None}
        asking = SampleScoreFilter(scorer="llm_judge", scorer_params=params, score_all=True)
        assert [row[STATS]["judge_score"] for row in asking.run(given)] == [3, 3]
        asked = len(server.requests)
        asking.process = None  # as Data-Juicer's analyzer does
        assert asking.run(given) is given
        assert len(server.requests) == asked
    assert any("dj-analyze does not ask the server" in line for line in lines)


def test_no_rows_have_stats_of_their_type(lines):
    scored = by_length().run(make_dataset(rows("one")).select([]))
    assert len(scored) == 0
    assert STATS in scored.column_names


def test_a_file_of_stats_is_refused_on_ray_before_any_work():
    judge = SampleScoreFilter(scorer="reasoning_trace", stats_export_path="stats.jsonl")
    with pytest.raises(RecipeError, match=r"^sample_score_filter: stats_export_path does not work on Ray.* Remove it"):
        judge._prepare_for_ray_map_batches()
