"""Shared fixtures: the bundled sample, datasets made from it, and settings for running Data-Juicer in this process."""

from __future__ import annotations

import json
import os
import sys
from pathlib import Path

import pytest

os.environ.setdefault("HF_HUB_OFFLINE", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")
if "PYTEST_XDIST_WORKER" in os.environ:
    # Set before any library reads it, because several processes share the processors.
    os.environ.setdefault("OMP_NUM_THREADS", "1")

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "recipes" / "data" / "sample_instructions.jsonl"


@pytest.fixture(scope="session", autouse=True)
def _log_of_data_juicer(tmp_path_factory):
    """Set up Data-Juicer's log once, on the process's own streams.

    Otherwise the first run of a recipe sets it up on the streams that pytest captures for one test. When these are
    closed, the writer thread ends, its queue fills, and a later run hangs.
    """
    from data_juicer.utils.logger_utils import setup_logger

    lent = sys.stderr
    sys.stderr = sys.__stderr__
    try:
        setup_logger(str(tmp_path_factory.mktemp("log")), redirect=False)
    finally:
        sys.stderr = lent


def pytest_collection_modifyitems(items):
    """Move the tests that need Ray to the end, because a process that has started Ray cannot fork workers safely.

    If several processes share the tests, each uses this order too, and has its own Ray.
    """
    items.sort(key=lambda item: "ray_cluster" in getattr(item, "fixturenames", ()))


@pytest.fixture(scope="session")
def ray_cluster():
    """One Ray for all tests of a process that need it, because a start takes ten seconds."""
    import ray

    # Reading a recipe for Ray may have started a Ray already.
    ray.shutdown()
    # Like Data-Juicer, tell the workers that they are part of a job on Ray.
    job = {"env_vars": {"RAY_JOB": "1"}}
    # Ray ends idle workers after a second, and each new one imports for seconds.
    keeps_workers = {"num_workers_soft_limit": 4, "idle_worker_killing_time_threshold_ms": 600_000}
    ray.init(
        "local",
        num_cpus=2,
        runtime_env=job,
        include_dashboard=False,
        log_to_driver=False,
        logging_level="error",
        _system_config=keeps_workers,
    )
    yield
    ray.shutdown()


@pytest.fixture(autouse=True)
def _ledgers_end_with_their_test(request):
    """End ledger processes. They stay until the driver ends: one or two in a run, but dozens in all these tests."""
    yield
    if "ray_cluster" in request.fixturenames:
        from mergeit_ops.distributed.ledger import close_ledgers

        close_ledgers()


@pytest.fixture
def lines():
    """The messages that are logged at level INFO and above."""
    from loguru import logger

    messages: list[str] = []
    handler = logger.add(lambda message: messages.append(message.record["message"]), level="INFO")
    yield messages
    logger.remove(handler)


@pytest.fixture(scope="session")
def sample_rows() -> list[dict]:
    """The rows of the bundled sample that have an answer."""
    rows = [json.loads(line) for line in SAMPLE.read_text(encoding="utf-8").splitlines()]
    return [row for row in rows if row["output"].strip()]


@pytest.fixture(scope="session")
def embedded_rows(sample_rows) -> list[dict]:
    """120 rows of the sample with stored embeddings, so that tests need no embedding model."""
    from mergeit_ops.core.columns import EMBEDDING
    from mergeit_ops.core.vectors import encode_vectors
    from mergeit_ops.embedding import load_encoder

    rows = sorted(sample_rows, key=lambda row: row["source"])[:120]
    texts = encode_vectors(load_encoder().encode([f"{row['instruction']} {row['input']}".strip() for row in rows]))
    return [row | {EMBEDDING: text} for row, text in zip(rows, texts, strict=True)]


@pytest.fixture(autouse=True)
def _no_key_and_no_shared_cache(monkeypatch, tmp_path):
    """Hide the caller's key and journal from the tests."""
    for name in ("OPENAI_API_KEY", "OPENAI_BASE_URL"):
        monkeypatch.delenv(name, raising=False)
    monkeypatch.setenv("MERGEIT_CACHE_DIR", str(tmp_path / "cache"))
    # Data-Juicer marks the process as a job on Ray when it reads a recipe for Ray, and never takes the mark back.
    monkeypatch.setenv("RAY_JOB", "0")
