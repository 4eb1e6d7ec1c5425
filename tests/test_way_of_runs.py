"""A run that cannot reach its server stops before it embeds anything, in every executor, and exports nothing."""

from __future__ import annotations

import os
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops.distributed import in_ray_worker
from mergeit_ops.errors import EmbeddingError, LLMUnavailableError
from tests.recipe_runs import run_command, run_recipe, run_recipe_on_ray, write_jsonl, write_recipe

BROKEN = {
    "no key": ({}, "OPENAI_API_KEY"),
    "SOCKS": ({"OPENAI_API_KEY": "k", "ALL_PROXY": "socks5://me:hun-ter2@proxy:1080"}, "ALL_PROXY"),
    "address": ({"OPENAI_BASE_URL": "https://me:hun-ter2@llm.example/v1"}, "OPENAI_BASE_URL"),
    "certificate": ({"OPENAI_API_KEY": "k", "SSL_CERT_FILE": "/none.pem"}, "SSL_CERT_FILE"),
}
ASKING = {
    "merger": [{"llm_pair_merger_mapper": {}}],
    "judge": [
        {"llm_pair_merger_mapper": {"merge_strategy": "concat"}},
        {"quality_gate_filter": {"scorer": "llm_judge"}},
    ],
}


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT"):
            monkeypatch.delenv(name)


@pytest.fixture
def data(tmp_path, sample_rows) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", sample_rows[:50])


def recipe_of(asking: list[dict[str, Any]], tmp_path: Path, data: Path) -> Path:
    """A recipe whose first operator would fail, because its embedding model does not exist."""
    grouper = {"topic_cluster_grouper": {"embedding_model": str(tmp_path / "no-model")}}
    return write_recipe(tmp_path, [grouper, *asking], data)


@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
@pytest.mark.parametrize(("environment", "word"), BROKEN.values(), ids=BROKEN)
def test_nothing_is_embedded_for_a_server_that_cannot_be_reached(
    asking, environment, word, tmp_path, data, monkeypatch
):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LLMUnavailableError, match=word):
        run_recipe(recipe_of(asking, tmp_path, data))
    assert not (tmp_path / "out" / "export.jsonl").exists()


def test_a_server_that_may_be_reached_lets_the_run_begin(tmp_path, data, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    with pytest.raises(EmbeddingError):
        run_recipe(recipe_of(ASKING["merger"], tmp_path, data))


@pytest.mark.slow
@pytest.mark.parametrize(("environment", "word"), BROKEN.values(), ids=BROKEN)
def test_the_command_ends_with_the_sentence(environment, word, tmp_path, data, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    recipe = recipe_of(ASKING["merger"], tmp_path, data)
    done = run_command("dj-process", "--config", str(recipe), cwd=tmp_path, timeout=120)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert last.startswith("mergeit_ops.errors.LLMUnavailableError: llm_pair_merger_mapper: ")
    assert word in last
    assert "hun-ter2" not in done.stdout
    logs = [path for path in tmp_path.rglob("*") if path.is_file() and path != recipe]
    assert [path for path in logs if b"hun-ter2" in path.read_bytes()] == []


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("asking", ASKING.values(), ids=ASKING)
def test_on_ray_the_driver_says_it(asking, tmp_path, data):
    with pytest.raises(LLMUnavailableError, match="OPENAI_API_KEY"):
        run_recipe_on_ray(recipe_of(asking, tmp_path, data), "--export_path", str(tmp_path / "ray" / "export"))
    assert not (tmp_path / "ray" / "export").exists()


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
def test_a_worker_that_builds_the_operator_anew_need_not_have_the_key():
    import ray

    def build() -> bool:
        from mergeit_ops.ops import QualityGateFilter

        os.environ.pop("OPENAI_API_KEY", None)
        QualityGateFilter(scorer="llm_judge")
        return in_ray_worker()

    class Actor:
        def __init__(self) -> None:
            self.built = build()

        def value(self) -> bool:
            return self.built

    assert not in_ray_worker()
    assert ray.get(ray.remote(build).remote())
    assert ray.get(ray.remote(Actor).remote().value.remote())
