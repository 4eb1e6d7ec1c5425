"""A million rows on one machine."""

import importlib.util
import json
from pathlib import Path

import pytest

from mergeit_ops.dataset.manifest import MANIFEST_DIR, read_manifests

BENCHMARK = Path(__file__).resolve().parents[1] / "benchmarks" / "scaling.py"
GIB = 2**30


@pytest.fixture(scope="module")
def scaling():
    import sys

    specification = importlib.util.spec_from_file_location("scaling", BENCHMARK)
    module = importlib.util.module_from_spec(specification)
    sys.modules["scaling"] = module  # dataclasses look their module up
    specification.loader.exec_module(module)
    yield module
    del sys.modules["scaling"]


@pytest.mark.parametrize(
    ("rows", "most_memory"),
    [(3_000, 2 * GIB), pytest.param(1_000_000, 6 * GIB, marks=pytest.mark.slow)],
)
def test_a_whole_run_keeps_a_fifth_of_each_topic_within_its_memory(scaling, tmp_path, rows, most_memory):
    data = tmp_path / "rows.parquet"
    scaling.write_rows(data, rows)
    measured = scaling.run(data, tmp_path, rows, scaling.PROCESS_TOPICS, np_=2)
    work_dir = next((tmp_path / "work").rglob(MANIFEST_DIR)).parent
    grouper, selector, reverse = (record["figures"] for record in read_manifests(work_dir))
    assert grouper["rows_in"] == selector["rows_in"] == rows
    # Rounding takes or gives half a row in each topic.
    assert abs(selector["rows_out"] - rows / 5) <= grouper["topics"] / 2 + 1
    assert selector["rows_out"] == reverse["rows_out"] == measured.rows_out
    if rows >= 1_000_000:
        assert grouper["largest_topic"] >= 40_000
    row_ids, numbers, topics = set(), set(), []
    with (tmp_path / "out" / "selected.jsonl").open(encoding="utf-8") as lines:
        for line in lines:
            row = json.loads(line)
            row_ids.add(row["__dj__meta__"]["row_id"])
            numbers.add(row["id"])
            topics.append(row["__dj__meta__"]["topic_id"])
    assert len(row_ids) == len(numbers) == len(topics) == measured.rows_out
    assert topics == sorted(topics)
    assert measured.peak <= most_memory
