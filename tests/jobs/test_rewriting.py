"""The job that rewrites the rows of a table, with a method of the test's own and a server that says what it is told."""

from collections import Counter

import pyarrow as pa
import pytest
from datasets import Features, Value

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.rewriting.chains import ChainCall
from mergeit_ops.core.rows.identity import content_digest
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.dataset.tables import JSON, python_rows
from mergeit_ops.jobs.rewriting import RewriteJob
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.settings import LLMSettings
from tests.llm_server import FakeLLMServer


class Twice:
    """Asks twice, the second time about the first answer; a row whose instruction is `same` stays."""

    name = "twice"
    nodes_added = 7

    def problem(self, sample):
        return "too_short" if len(sample.instruction) < 3 else None

    def chain(self, sample):
        first = yield self._question(sample.instruction)
        second = yield self._question(first)
        new = type(sample)(second, sample.input, sample.output, sample.system)
        return sample if sample.instruction == "same" else new

    def _question(self, text):
        return ChainCall(({"role": "user", "content": text},), self._read, "expected", completion_tokens=5)

    def _read(self, text):
        if text == "no":
            raise ReplyError(FailureReason.REFUSED)
        return text


ROWS = [
    {"instruction": "one", "input": "", "output": "x", "n": 1, STATS: None},
    {"instruction": "two", "input": "", "output": "x", "n": 2, STATS: None},
    {"instruction": "a", "input": "", "output": "x", "n": 3, STATS: None},
    {"instruction": "same", "input": "", "output": "x", "n": 4, STATS: None},
    {"instruction": "never", "input": "", "output": "x", "n": 5, STATS: None},
    {"instruction": "one", "input": "", "output": "x", "n": 6, STATS: None},
    {"instruction": "four", "input": "", "output": " ", "n": 7, STATS: None},
]


def job(server, tmp_path, **more):
    layout = resolve_format("auto", list(ROWS[0]))
    settings = LLMSettings(
        model_params={"base_url": server.base_url}, cache_path=str(tmp_path / "answers.jsonl"), max_failure_ratio=1.0
    )
    return RewriteJob(SampleReader("op", layout, EncoderSettings("")), build_engine(settings), Twice(), **more)


def answer(body):
    text = body["messages"][0]["content"]
    return "no" if text == "never" else f"{text}!"


@pytest.fixture
def server(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with FakeLLMServer(answer) as started:
        yield started


def test_each_row_goes_through_its_questions_or_stays_with_the_reason(server, tmp_path):
    made, report = job(server, tmp_path).ask(pa.Table.from_pylist(ROWS))
    rows = python_rows(made)
    assert [row["instruction"] for row in rows] == ["one!!", "two!!", "a", "same", "never", "one!!", "four"]
    metas = [row.pop(META) for row in rows]
    assert [meta["rewrite_error"] for meta in metas] == [
        None,
        None,
        "too_short",
        "unchanged",
        "refused",
        None,
        "bad_row",
    ]
    assert (report.rewritten, report.failed) == (3, {"refused": 1})
    assert report.kept == {"too_short": 1, "unchanged": 1, "bad_row": 1}
    # Stats describe the old texts; all else of a row that stays is as it was.
    before = [{name: value for name, value in row.items() if name != STATS} for row in ROWS]
    assert [rows[number] for number in (2, 3, 4, 6)] == [before[number] for number in (2, 3, 4, 6)]
    for number in (0, 1, 5):
        assert decode_row(metas[number]["rewrite_parent"]) == before[number]
        assert metas[number]["rewrite_parent_id"] == content_digest(before[number])
        assert rows[number]["n"] == before[number]["n"]
        assert (metas[number]["rewrite_method"], metas[number]["nodes_added"]) == ("twice", 7)
        assert report.rewrites[content_digest(before[number])][0] == content_digest(rows[number])
    # Equal texts are asked about once. What cannot be used is asked for three times, and its chain ends there.
    asked = Counter(body["messages"][0]["content"] for body in server.requests)
    once = dict.fromkeys(["one", "two", "same", "one!", "two!", "same!"], 1)
    assert asked == {**once, "never": 3}


def test_a_second_job_pays_nothing(server, tmp_path):
    first, _ = job(server, tmp_path).ask(pa.Table.from_pylist(ROWS[:4]))
    paid = len(server.requests)
    again = job(server, tmp_path)
    assert again.ask(pa.Table.from_pylist(ROWS[:4]))[0].equals(first)
    assert len(server.requests) == paid
    assert again.account()[0]["cache_hits"] == paid


def test_a_dry_run_counts_the_calls_of_whole_chains_and_changes_nothing(server, tmp_path):
    table = pa.Table.from_pylist(ROWS)
    dry = job(server, tmp_path, dry_run=True)
    made, report = dry.ask(table)
    assert made.equals(table)
    assert report.rewritten == 0
    assert server.requests == []
    # The second question of all chains is about the expected answer, so it is one.
    assert dry.account()[0]["planned_calls"] == 4 + 1
    assert dry.account()[0]["planned_completion_tokens"] == 25
    assert dry.features(Features({"instruction": Value("string")})) == Features({"instruction": Value("string")})


def test_a_dry_run_goes_on_with_the_answers_that_the_journal_has(server, tmp_path):
    job(server, tmp_path).ask(pa.Table.from_pylist(ROWS[:2]))
    dry = job(server, tmp_path, dry_run=True)
    dry.ask(pa.Table.from_pylist(ROWS[:2]))
    figures = dry.account()[0]
    assert (figures["planned_calls"], figures["planned_cache_hits"]) == (0, 4)


def test_the_columns_of_the_result_are_those_of_the_user_and_the_metadata(server, tmp_path):
    before = Features({"instruction": Value("string"), STATS: JSON, "mergeit_embedding": Value("string")})
    assert job(server, tmp_path).features(before) == Features({"instruction": Value("string"), META: JSON})


def test_a_row_without_a_text_form_is_never_asked_about(server, tmp_path):
    times = pa.table({**{name: [ROWS[0][name]] for name in ("instruction", "input", "output")}}).append_column(
        "at", pa.array([1], pa.time64("ns"))
    )
    made, report = job(server, tmp_path).ask(times)
    assert report.kept == {"unencodable": 1}
    assert server.requests == []
    assert made.drop_columns([META]).equals(times)
