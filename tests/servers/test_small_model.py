"""A whole run of `mergeit_small_llm.yaml` with a real small model on llama.cpp's server."""

from __future__ import annotations

import time
from collections import Counter
from collections.abc import Iterator

import pytest

from tests.recipe_runs import read_jsonl, run_command, write_jsonl
from tests.servers.running import LOCAL_PYTHON, MODELS, REPOSITORY, SMALL_LLAMA_CPP, RealServer

pytestmark = pytest.mark.servers

ROWS = 300


@pytest.fixture(scope="module")
def small_llm() -> Iterator[RealServer]:
    if not (LOCAL_PYTHON.exists() and (MODELS / "small.gguf").exists()):
        pytest.skip("the small model is not installed: `make test-servers` downloads it")
    running = RealServer(SMALL_LLAMA_CPP, MODELS)
    try:
        yield running.start()
    finally:
        running.stop()


def test_a_small_model_merges_rows_and_keeps_their_parents(small_llm, tmp_path):
    rows = read_jsonl(REPOSITORY / "recipes" / "data" / "sample_instructions.jsonl")[:ROWS]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    export = tmp_path / "out" / "merged.jsonl"
    arguments = ["--config", "recipes/mergeit_small_llm.yaml", "--dataset_path", str(data), "--np", "1"]
    environment = {"PYTHONPATH": str(REPOSITORY), "OPENAI_BASE_URL": small_llm.base_url}
    start = time.perf_counter()
    run = run_command(
        "dj-process",
        *arguments,
        "--export_path",
        str(export),
        cwd=REPOSITORY,
        environment=environment,
        timeout=1500,
    )
    assert run.returncode == 0, run.stdout[-3000:]
    seconds = time.perf_counter() - start
    metas = [row["__dj__meta__"] for row in read_jsonl(export)]
    merges = [meta for meta in metas if meta["merge_status"] == "merged"]
    failed = Counter(meta["merge_error"] for meta in metas if meta["merge_error"])
    print(f"{len(rows)} rows, {len(merges)} merges, rows that failed {dict(failed)}, {seconds:.0f} s")
    pairs = len({meta["merge_group_id"] for meta in metas if meta["merge_group_id"]})
    assert pairs > 10
    assert len(merges) > pairs / 2
    for meta in merges:
        assert min(meta["merge_parent_kept"]) >= 0.5
    verified = run_command("python", "-m", "mergeit_ops", "verify", str(data), str(export), cwd=REPOSITORY)
    assert verified.returncode == 0, verified.stdout
