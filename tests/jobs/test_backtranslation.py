"""The job that makes samples of the texts of a table."""

from collections import Counter

import pyarrow as pa
import pytest
from datasets import Features, Value

from mergeit_ops.core.backtranslation.bounds import TextBounds
from mergeit_ops.core.backtranslation.methods import BACKTRANSLATIONS
from mergeit_ops.core.columns import EMBEDDING, META, ROW_ID, STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.rows import sources
from mergeit_ops.core.rows.identity import content_digest
from mergeit_ops.dataset.tables import JSON, python_rows
from mergeit_ops.jobs.backtranslation import BacktranslationJob
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.settings import LLMSettings
from tests.llm_server import FakeLLMServer, backtranslated

WRITTEN = ("instruction", "input", "output")
ROWS = [
    {"text": "Rye is a bread of the north.", "n": 1, STATS: None, EMBEDDING: "AAAA", ROW_ID: "a"},
    {"text": "Wheat makes bread white.", "n": 2, STATS: None, EMBEDDING: "AAAA", ROW_ID: "b"},
    {"text": "Rye is a bread of the north.", "n": 3, STATS: None, EMBEDDING: "AAAA", ROW_ID: "c"},
    {"text": "short", "n": 4, STATS: None, EMBEDDING: "AAAA", ROW_ID: "d"},
    {"text": None, "n": 5, STATS: None, EMBEDDING: "AAAA", ROW_ID: None},
]


def job(url, tmp_path=None, method="instruction", **more):
    cache = None if tmp_path is None else str(tmp_path / "answers.jsonl")
    settings = LLMSettings(model_params={"base_url": url}, cache_path=cache, max_failure_ratio=1.0)
    return BacktranslationJob(
        "op",
        build_engine(settings),
        BACKTRANSLATIONS[method](),
        "text",
        TextBounds(min_chars=10),
        resolve_format("alpaca", WRITTEN),
        WRITTEN,
        **more,
    )


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with FakeLLMServer(backtranslated) as started:
        yield started


def test_the_text_goes_to_the_metadata_and_three_columns_come(server):
    table, report = job(server.base_url).ask(pa.Table.from_pylist(ROWS))
    assert table.column_names == ["n", ROW_ID, *WRITTEN, META]
    rows = python_rows(table)
    assert [row["n"] for row in rows] == [1, 2, 3, 4, 5]
    assert rows[0]["instruction"] == "Tell me about this: Rye is a bread of the"
    assert [row["output"] for row in rows] == [row["text"] for row in ROWS[:3]] + ["", ""]
    assert [row[META][sources.SOURCE] for row in rows] == [row["text"] for row in ROWS]
    assert [row[META][sources.STATUS] for row in rows] == ["ok"] * 3 + ["too_short", "bad_row"]
    assert [row[META][sources.SOURCE_ID] for row in rows][:4] == ["a", "b", "c", "d"]
    assert rows[4][META][sources.SOURCE_ID] == content_digest({"text": None, "n": 5})
    assert report.statuses == Counter(ok=3, too_short=1, bad_row=1)
    assert (len(server.requests), report.dropped, len(report.rewrites)) == (2, 0, 5)
    assert report.rewrites["a"][0] == content_digest({name: rows[0][name] for name in ("n", *WRITTEN)})


def test_rows_without_a_sample_can_be_dropped_and_are_counted(server):
    table, report = job(server.base_url, drops=True).ask(pa.Table.from_pylist(ROWS))
    assert [row["n"] for row in python_rows(table)] == [1, 2, 3]
    assert report.dropped == 2
    assert report.rewrites.keys() == {"a", "b", "c"}
    nothing, report = job(server.base_url, drops=True).ask(pa.Table.from_pylist(ROWS[3:]))
    assert (nothing.num_rows, report.dropped, len(server.requests)) == (0, 2, 2)
    assert nothing.schema == table.schema


def test_a_dry_run_counts_each_text_once_and_drops_nothing():
    dry = job("http://127.0.0.1:9/v1", dry_run=True, drops=True)
    table, report = dry.ask(pa.Table.from_pylist(ROWS))
    assert report.statuses == Counter(dry_run=3, too_short=1, bad_row=1)
    assert [row["output"] for row in python_rows(table)] == [""] * 5
    assert dry.account()[0]["planned_calls"] == 2
    assert dry.engines == []


def test_the_columns_are_those_that_it_says(server):
    table = pa.Table.from_pylist([{"text": "Rye is a bread of the north.", "n": 1}])
    before = Features({"text": Value("string"), "n": Value("int64"), STATS: JSON})
    after = job(server.base_url).features(before)
    made, _ = job(server.base_url).ask(table)
    assert list(after) == made.column_names
    assert {name: after[name] for name in WRITTEN} == dict.fromkeys(WRITTEN, Value("string"))


def test_a_text_may_be_the_only_column(server):
    table, _ = job(server.base_url).ask(pa.table({"text": ["Rye is a bread of the north."]}))
    assert table.column_names == [*WRITTEN, META]
