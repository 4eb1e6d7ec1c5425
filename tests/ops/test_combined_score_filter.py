"""Several stats of each sample combined into one."""

from __future__ import annotations

import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops import CombinedScoreFilter
from tests.recipe_runs import make_dataset

# The golden value of the first rule of InstructMining, and a row that lacks the reward.
MINED = [
    {"id": "a", STATS: {"reward_score": 1.0, "num_token": 100, "knn_distance": 0.9}},
    {"id": "b", STATS: {"num_token": 100, "knn_distance": 0.9}},
]


def stats(dataset) -> list[dict]:
    return [row[STATS] for row in dataset]


def test_a_preset_names_its_stat_and_leaves_the_others():
    first, second = stats(CombinedScoreFilter("instruct_mining_v1").run(make_dataset(MINED)))
    assert first["instruct_mining_v1"] == pytest.approx(0.086357, abs=5e-7)
    assert first["instruct_mining_v1_status"] == "ok"
    assert first["num_token"] == 100
    assert second["instruct_mining_v1"] is None
    assert second["instruct_mining_v1_status"] == "missing_reward_score"


def test_stats_under_other_names_columns_and_keys_inside_columns_count():
    rows = [{"id": "a", "length": 100, "judge": {"reward": 1.0}, STATS: {"knn_distance": 0.9}}]
    renamed = CombinedScoreFilter(
        "instruct_mining_v1", rename={"num_token": "length", "reward_score": "judge.reward"}, stat="mined"
    )
    (found,) = stats(renamed.run(make_dataset(rows)))
    assert found["mined"] == pytest.approx(0.086357, abs=5e-7)


def test_bounds_apply_and_a_row_without_a_score_is_kept_dropped_or_stops_the_run():
    mine = {"weights": {"reward_score": 1.0}, "max_score": 0.5}
    rows = [*MINED, {"id": "c", STATS: {"reward_score": 0.25}}]

    def kept(**more):
        return list(CombinedScoreFilter(**mine, **more).run(make_dataset(rows))["id"])

    assert kept() == ["b", "c"]
    assert kept(on_missing_score="drop") == ["c"]
    with pytest.raises(DatasetError, match=r"no score \(missing_reward_score\), and on_missing_score is raise"):
        kept(on_missing_score="raise")


def test_lists_of_turns_are_combined_turn_by_turn():
    rows = [
        {"id": "a", STATS: {"deita_complexity_score": [3, 1], "deita_quality_score": [2, 2]}},
        {"id": "b", STATS: {"deita_complexity_score": [3, 1], "deita_quality_score": [2]}},
    ]
    first, second = stats(CombinedScoreFilter("deita_evol").run(make_dataset(rows)))
    assert first["deita_evol"] == 8
    assert second["deita_evol_status"] == "turn_mismatch"


def test_what_made_a_score_tells_rules_and_values_apart():
    def made_by(weight, reward):
        rows = [{"id": "a", STATS: {"reward_score": reward}}]
        (found,) = stats(CombinedScoreFilter(weights={"reward_score": weight}).run(make_dataset(rows)))
        return found["combined_score_made_by"]

    assert made_by(1.0, 2.0) == made_by(1.0, 2.0)
    assert len({made_by(1.0, 2.0), made_by(2.0, 2.0), made_by(1.0, 3.0)}) == 3


def test_looking_at_stats_filters_nothing_and_marks_nothing():
    looking = CombinedScoreFilter(weights={"reward_score": 1.0}, max_score=0.5, on_missing_score="raise")
    looking.process = None  # as Data-Juicer's analyzer does
    found = stats(looking.run(make_dataset(MINED)))
    assert [row["combined_score"] for row in found] == [1.0, None]
    assert "combined_score_made_by" not in found[0]


def test_a_stat_that_nothing_writes_is_named():
    with pytest.raises(DatasetError, match="no stat and no column 'reward_score' to combine; put the operator"):
        CombinedScoreFilter("instruct_mining_v1").run(make_dataset([{"id": "a"}]))


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        ({}, "give either preset or weights, got neither"),
        ({"preset": "deita_evol", "weights": {"a": 1.0}}, "got preset and weights"),
        ({"preset": "deita_evol", "combine": "product"}, "the preset sets combine"),
        ({"weights": {"a": "1"}}, "weights.a must be a number, got '1'"),
        ({"weights": {"a": 1.0}, "rename": {"a": "b"}}, "rename renames the stats of a preset"),
        ({"weights": {"a": 1.0}, "full_at": {"b": 2.0}}, "full_at has 'b', but what is combined is 'a'"),
        ({"weights": {"a": 1.0}, "full_at": {"a": 0}}, "full_at.a must be a number above 0, got 0"),
        ({"preset": "deita_evol", "rename": {"quality": "q"}}, "rename has 'quality'"),
        ({"preset": "lift_total"}, "needs full_at: {text_len: LENGTH}"),
        ({"weights": {"a": 1.0}, "stat": "a"}, "stat is 'a', which is one of the stats that are combined"),
        ({"weights": {"a": 1.0}, "min_score": 2, "max_score": 1}, "min_score 2 is above max_score 1"),
    ],
)
def test_parameters_that_do_not_fit_together_are_refused(parameters, sentence):
    with pytest.raises(RecipeError, match=f"combined_score_filter: .*{sentence}".replace("{", r"\{")):
        CombinedScoreFilter(**parameters)
