"""A recipe for Ray where no cluster runs is told how to start one."""

from __future__ import annotations

import pytest
from data_juicer.config import init_configs

from mergeit_ops.dataset.no_cluster import explain_no_cluster
from mergeit_ops.ops import __all__ as _registered  # noqa: F401
from tests.recipe_runs import write_jsonl, write_recipe

# What `ray.init("auto")` raises.
NO_CLUSTER = ConnectionError(
    "Could not find any running Ray instance. Please specify the one to connect to by setting `--address` flag or "
    "`RAY_ADDRESS` environment variable."
)


def explained(tmp_path, step, *causes):
    data = write_jsonl(tmp_path / "in.jsonl", [{"instruction": "a", "output": "b"}])
    init_configs(["--config", str(write_recipe(tmp_path, [step], data, executor_type="ray"))])
    return explain_no_cluster(causes)


def test_the_option_of_data_juicer_is_named(tmp_path):
    found = explained(tmp_path, {"budget_selector": {"select_num": 1}}, RuntimeError("a"), NO_CLUSTER)
    assert "add --ray_address local, to start Ray here" in found


@pytest.mark.parametrize("error", [ConnectionError("refused"), ValueError(str(NO_CLUSTER))])
def test_other_errors_are_not_explained(tmp_path, error):
    assert explained(tmp_path, {"budget_selector": {"select_num": 1}}, error) is None


def test_a_run_without_our_operators_is_not_explained(tmp_path):
    assert explained(tmp_path, {"words_num_filter": {}}, NO_CLUSTER) is None
