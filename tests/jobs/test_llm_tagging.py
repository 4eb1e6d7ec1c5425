"""Tags that a model gives: each text is asked about once, and no failure becomes a tag."""

from __future__ import annotations

import json
from collections import Counter

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.tags.questions import QUESTIONS
from mergeit_ops.dataset.manifest import Manifest
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.llm_tagging import LLMTagging, ask_for_tags
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.settings import LLMSettings
from tests.llm_server import FakeLLMServer, parents_of
from tests.recipe_runs import make_dataset

READER = SampleReader("tagger", resolve_format("alpaca", ["instruction", "input", "output"]), EncoderSettings("none"))
ROWS = [
    {"instruction": "Write a poem.", "input": "", "output": "a"},
    {"instruction": " ", "input": "", "output": "b"},
    {"instruction": "Write a poem.", "input": "", "output": "another answer"},
    {"instruction": "Translate.", "input": "mute", "output": "c"},
    {"instruction": "Translate.", "input": "two", "output": "d"},
]


def reply(body):
    (record,) = parents_of(body)
    if record.get("input") == "mute":
        return "I would rather talk about the weather."
    words = f"{record['instruction']} {record.get('input', '')}".lower().split()
    return json.dumps([{"tag": word, "explanation": "It is said."} for word in words])


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with FakeLLMServer(reply) as started:
        yield started


def job(url, **more):
    settings = LLMSettings(model_params={"base_url": url}, cache_path=None, max_failure_ratio=1.0, try_num=1)
    return LLMTagging(READER, build_engine(settings), QUESTIONS["llm"], "tags", **more)


def test_each_text_is_asked_about_once_and_answers_have_no_part_in_it(server):
    table, (counts, statuses) = job(server.base_url).ask(pa.Table.from_pylist(ROWS))
    assert table["tags"].to_pylist() == [
        ["write", "a", "poem."],
        [],
        ["write", "a", "poem."],
        [],
        ["translate.", "two"],
    ]
    assert [row[STATS]["tags_status"] for row in python_rows(table)] == [
        "ok",
        "empty_instruction",
        "ok",
        "unparsable",
        "ok",
    ]
    assert counts == Counter({3: 2, 0: 2, 2: 1})
    assert statuses == Counter({"ok": 3, "empty_instruction": 1, "unparsable": 1})
    assert len(server.requests) == 3


def test_stats_that_rows_bring_stay(server):
    brought = [row | {STATS: {"n": number}} for number, row in enumerate(ROWS)]
    table, _ = job(server.base_url).ask(pa.Table.from_pylist(brought))
    assert [row[STATS]["n"] for row in python_rows(table)] == [0, 1, 2, 3, 4]


def test_a_dry_run_counts_the_calls_and_gives_no_tag(server):
    dry = job(server.base_url, dry_run=True)
    table, (_, statuses) = dry.ask(pa.Table.from_pylist(ROWS))
    assert table["tags"].to_pylist() == [[]] * 5
    assert statuses == Counter({"dry_run": 4, "empty_instruction": 1})
    assert dry.account()[0]["planned_calls"] == 3
    assert server.requests == []


def test_the_record_tells_what_failed_and_what_made_the_tags(server):
    manifest = Manifest("tagger", {})
    tagged = ask_for_tags(LocalRows(make_dataset(ROWS)), job(server.base_url), manifest)
    assert len(tagged) == manifest.figures["rows_in"] == manifest.figures["rows_out"] == 5
    assert manifest.figures["failed"] == {"unparsable": 1}
    assert len(manifest.details["prompt_sha256"]) == 64


def test_rows_of_which_most_cannot_be_read_are_refused_before_any_call(server):
    blank = [dict.fromkeys(row, "") for row in ROWS]
    with pytest.raises(DatasetError, match=r"^tagger: 5 of 5 rows"):
        ask_for_tags(LocalRows(make_dataset(blank)), job(server.base_url), Manifest("tagger", {}))
    assert server.requests == []
