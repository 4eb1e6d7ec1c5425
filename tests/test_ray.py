"""The operators on Ray: the same recipe gives the same rows as in the default executor."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from tests.llm_server import FakeLLMServer
from tests.runs import read_export, read_jsonl, run_recipe, run_recipe_on_ray, write_jsonl, write_recipe
from tests.test_whole_runs import pipeline


@pytest.fixture(scope="module", autouse=True)
def _cluster():
    """One Ray for all tests here: a start costs ten seconds."""
    import ray

    ray.init(num_cpus=2, include_dashboard=False, log_to_driver=False, logging_level="error")
    yield
    ray.shutdown()


@pytest.fixture
def data(tmp_path, embedded_rows) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", embedded_rows)


def comparable(rows: list[dict]) -> list[str]:
    """Rows as sorted texts, nulls and empty lists left out: a struct has every key in every row."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: plain(part) for key, part in sorted(value.items()) if part is not None and part != []}
        return round(value, 5) if isinstance(value, float) else value

    return sorted(json.dumps(plain(row), sort_keys=True, ensure_ascii=False) for row in rows)


def both(tmp_path: Path, process: list[dict], data: Path) -> tuple[list[dict], list[dict]]:
    recipe = write_recipe(tmp_path, process, data)
    default = read_jsonl(run_recipe(recipe, "--export_path", str(tmp_path / "default" / "export.jsonl")))
    ray = read_export(run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export")))
    return default, ray


def test_selection_gives_the_rows_of_the_default_executor(tmp_path, data):
    process = [{"topic_cluster_grouper": {}}, {"facility_location_selector": {}}, {"topic_reverse_grouper": {}}]
    default, ray = both(tmp_path, process, data)
    assert comparable(ray) == comparable(default)
    assert len(ray) < 40


@pytest.mark.parametrize("gamma", [0.5, 1.4])
def test_merging_gives_the_rows_of_the_default_executor(tmp_path, data, gamma):
    with FakeLLMServer() as server:
        default, ray = both(tmp_path, pipeline(server, gamma=gamma, cache_path=None), data)
    assert comparable(ray) == comparable(default)
    assert {row[META]["merge_status"] for row in ray} >= {"original", "merged"}
