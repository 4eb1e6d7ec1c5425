"""Settings with which Data-Juicer tries every operator on rows of the input."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mergeit_ops.dataset.probing import check_probing
from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import __all__ as _registered  # noqa: F401
from tests.recipe_runs import read_jsonl, run_recipe, write_jsonl, write_recipe

MERGING = ("words_num_filter", "topic_cluster_grouper", "llm_pair_merger_mapper", "quality_gate_filter")
FLATTENING = ("topic_cluster_grouper", "topic_reverse_grouper")
FLAT = ("words_num_filter", "budget_selector")

PROBED = [{"op_fusion": True}, {"op_fusion": True, "fusion_strategy": "probe"}, {"adaptive_batch_size": True}]
NOT_PROBED = [{}, {"op_fusion": True, "fusion_strategy": "greedy"}, {"op_fusion": False, "fusion_strategy": "probe"}]


def check(names, settings, executor="default"):
    steps = tuple(Step(name, {}) for name in names)
    return check_probing(Recipe(steps, None, ("text",), executor, SimpleNamespace(**settings)))


@pytest.mark.parametrize("settings", PROBED)
@pytest.mark.parametrize("names", [MERGING, FLATTENING])
def test_an_operator_on_topics_is_refused_with_the_setting_to_change(names, settings):
    remedy = "adaptive_batch_size: false" if "adaptive_batch_size" in settings else "Set fusion_strategy: greedy"
    with pytest.raises(RecipeError, match=f"^({'|'.join(names)}): .*not topics.*{remedy}"):
        check(names, settings)


@pytest.mark.parametrize("settings", PROBED)
def test_operators_on_rows_are_warned_about(settings):
    (warning,) = check(FLAT, settings)
    assert "pay for rows that a filter may drop" in warning


@pytest.mark.parametrize("settings", NOT_PROBED)
@pytest.mark.parametrize("names", [MERGING, FLAT])
def test_without_probing_there_is_nothing_to_say(names, settings):
    assert check(names, settings) == []


def test_ray_does_not_probe():
    assert check(MERGING, PROBED[0], executor="ray") == []


def test_the_named_remedy_gives_the_rows_of_a_run_without_fusion(tmp_path, embedded_rows):
    process = [
        {"words_num_filter": {"text_key": "output", "min_num": 1, "skip_op_error": False}},
        {"word_repetition_filter": {"text_key": "output", "skip_op_error": False}},
        {"topic_cluster_grouper": {"num_clusters": 4}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat"}},
        {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength"}},
    ]
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows[:60])
    recipe = write_recipe(tmp_path, process, data)
    plain = read_jsonl(run_recipe(recipe, "--export_path", str(tmp_path / "plain" / "a.jsonl")))
    with pytest.raises(RecipeError, match="fusion_strategy: greedy"):
        run_recipe(recipe, "--op_fusion", "true")
    fused = run_recipe(
        recipe,
        "--op_fusion",
        "true",
        "--fusion_strategy",
        "greedy",
        "--export_path",
        str(tmp_path / "fused" / "a.jsonl"),
    )
    columns = ("instruction", "output")
    assert [[row[name] for name in columns] for row in read_jsonl(fused)] == [
        [row[name] for name in columns] for row in plain
    ]
