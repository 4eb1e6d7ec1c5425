"""The recipe that this process runs."""

import sys
from types import SimpleNamespace

import pytest

from mergeit_ops.dataset.recipe import Recipe, Step, current_recipe, is_analyzed, recipe_and_place
from mergeit_ops.ops import __all__ as _registered  # noqa: F401


@pytest.fixture
def running(monkeypatch):
    """Set the configuration that Data-Juicer keeps of the run of this process."""
    import data_juicer.config.config  # noqa: F401

    def run(**settings):
        config = SimpleNamespace(**settings)
        monkeypatch.setattr(sys.modules["data_juicer.config.config"], "global_cfg", config, raising=False)
        return config

    return run


def test_without_a_run_there_is_no_recipe(running, monkeypatch):
    running(process=[])
    assert current_recipe() is None
    monkeypatch.setattr(sys.modules["data_juicer.config.config"], "global_cfg", None, raising=False)
    assert current_recipe() is None


def test_a_recipe_is_read_as_data_juicer_has_it(running):
    config = running(
        process=[{"words_num_filter": {"min_num": 3}}, {"budget_selector": None}],
        export_path="out.jsonl",
        text_keys="query",
        executor_type="ray",
        work_dir="w",
    )
    recipe = current_recipe()
    assert recipe == Recipe(
        (Step("words_num_filter", {"min_num": 3}), Step("budget_selector", {})), "out.jsonl", ("query",), "ray"
    )
    assert recipe.config is config
    assert current_recipe("w") == recipe
    assert current_recipe("another") is None


def test_what_a_recipe_does_not_say_has_the_defaults(running):
    running(process=[{"words_num_filter": {}}])
    assert current_recipe() == Recipe((Step("words_num_filter", {}),), None, (), "default")


def test_equal_operators_are_told_apart_by_their_place(running):
    entry, twin = {"budget_selector": {"select_ratio": 0.5}}, {"budget_selector": {"select_ratio": 0.5}}
    running(process=[entry, twin], work_dir="w")
    for place, own in enumerate((entry, twin)):
        operator = SimpleNamespace(_name="budget_selector", work_dir="w", _op_cfg=own)
        assert recipe_and_place(operator) == (current_recipe(), place)
    assert recipe_and_place(SimpleNamespace(_name="x", work_dir="w", _op_cfg=dict(entry))) is None
    assert recipe_and_place(SimpleNamespace(_name="x", work_dir="v", _op_cfg=entry)) is None
    assert recipe_and_place(SimpleNamespace(_name="x", work_dir="w")) is None


def test_only_our_operators_have_roles():
    recipe = Recipe((Step("words_num_filter", {}), Step("budget_selector", {}), Step("no_such_op", {})), None, (), "x")
    assert [step.is_ours for step in recipe.steps] == [False, True, False]
    assert recipe.steps[2].operator is None
    assert set(recipe.roles()) == {"budget_selector"}
    merger = Recipe((Step("llm_pair_merger_mapper", {}),), None, (), "default")
    assert merger.roles()["llm_pair_merger_mapper"]["kind"] == "merger"


def test_an_operator_that_stands_twice_may_drop_rows_if_either_may():
    def drops(*values):
        steps = tuple(Step("budget_selector", {"unreadable_rows": value}) for value in values)
        return Recipe(steps, None, (), "default").roles()["budget_selector"]["may_drop"]

    alone = {value: drops(value) for value in ("keep", "drop")}
    assert drops("keep", "drop") == drops("drop", "keep") == (alone["keep"] or alone["drop"])


def test_nothing_is_analyzed_here():
    assert not is_analyzed()
