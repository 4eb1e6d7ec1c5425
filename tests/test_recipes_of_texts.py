"""The recipes that make samples from texts, with a server: faulty replies, killed runs, dry runs, and runs on Ray."""

import json
import os
import random
import signal
import subprocess
import sys
from collections import Counter
from pathlib import Path

import pytest

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import verify
from tests.conftest import REPOSITORY
from tests.llm_server import FakeLLMServer, Reply, backtranslated, judged, parents_of
from tests.recipe_runs import read_export, read_jsonl, run_recipe, run_recipe_on_ray, write_jsonl
from tests.test_recipes import OF_TEXTS

SAMPLE_TEXTS = REPOSITORY / "recipes" / "data" / "sample_texts.jsonl"
DISTINCT, EQUAL, SHORT = 110, 6, 4

FAULTS = {
    "humpback": [
        "What is it about?",
        Reply('{"instruction": "What is', finish_reason="length"),
        "I'm sorry, but I cannot help with that.",
        '{"instruction": 7}',
        json.dumps({"instruction": "请写一篇短文。" * 3}),
        json.dumps({"instruction": "Sum up the given text."}),
        json.dumps({"instruction": "What is on https://example.org?"}),
        Reply(None),
    ],
    "tegit": [
        "Here is a task about it.",
        "#instruction#: Tell me\n#input#: more",
        Reply("#instruction#: Tell me\n#output#: It", finish_reason="length"),
        "#instruction#: a\n#output#: b\n#output#: c",
        "#instruction#: What does the text above say?\n#input#:\n#output#: Much.",
        "I'm sorry, but I cannot help with that.",
        Reply(None),
    ],
}
JUDGED_BADLY = ["Score: 45", "1 yes 2 yes 3 yes", "It is good.", Reply(None), Reply("It is", finish_reason="length")]


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("OPENAI_API_KEY", "none")


@pytest.fixture
def texts(tmp_path):
    """Texts within the limits of both recipes, from paragraphs of the bundled texts. Some are equal, some too short."""
    whole = [row["text"] for row in read_jsonl(SAMPLE_TEXTS)[:8]]
    paragraphs = [part for text in whole for part in text.split("\n\n") if 100 < len(part) < 500 and "\n" not in part]
    draw = random.Random(5)
    made = [joined(draw, paragraphs) for _ in range(DISTINCT)]
    rows = [{"id": number, "text": text} for number, text in enumerate([*made, *made[:EQUAL], *["Too short."] * SHORT])]
    return write_jsonl(tmp_path / "texts.jsonl", rows)


def joined(draw, paragraphs):
    found = []
    while sum(map(len, found)) < 1_000:
        found.append(draw.choice(paragraphs))
    return "\n\n".join(found)


def is_liked(record):
    """Return the judgement of these tests' judge about a record."""
    return len(record["output"]) % 4 != 0


def reply(body):
    """Make samples from texts, and judge them."""
    (record,) = parents_of(body)
    if "text" in record:
        return backtranslated(body)
    return judged(body, 5 if is_liked(record) else 4, answers=[True, is_liked(record)])


def recipe(name):
    return REPOSITORY / "recipes" / "methods" / f"{name}.yaml"


def records_of(export):
    """Return the records of all runs of an export, the earliest first."""
    folders = sorted(folder for folder in export.parent.iterdir() if folder.is_dir())
    return [record for folder in folders for record in read_manifests(folder)]


@pytest.mark.parametrize("name", OF_TEXTS)
def test_samples_are_made_and_judged_though_a_third_of_the_replies_are_faulty(name, tmp_path, monkeypatch, texts):
    tries, faulty = Counter(), Counter()

    def answer(body):
        asked = json.dumps(body["messages"][:2])
        tries[asked] += 1
        draw = random.Random(f"{asked}{tries[asked]}")
        is_fault = draw.random() < 0.35
        faulty[is_fault] += 1
        if not is_fault:
            return reply(body)
        return draw.choice(FAULTS[name] if "text" in parents_of(body)[0] else JUDGED_BADLY)

    export = tmp_path / "out" / "export.jsonl"
    more = ["--dataset_path", str(texts), "--export_path", str(export)]
    with FakeLLMServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        after = read_jsonl(run_recipe(recipe(name), *more))
        metas = read_jsonl(next(export.parent.glob("*_stats.jsonl")))
        paid = len(server.requests)
        assert verify(read_run(export), read_input(texts)).holds
        run_recipe(recipe(name), *more)
        again = len(server.requests) - paid
    assert 0.3 < faulty[True] / faulty.total() < 0.4
    made, judge = (record["figures"] for record in records_of(export)[:2])
    rows = DISTINCT + EQUAL + SHORT
    assert (made["rows_in"], judge["rows_in"], judge["rows_out"]) == (rows, made["rows_out"], len(after))
    assert made["rows_in"] - made["rows_out"] == made["filtered_out"] == sum(made["without_sample"].values())
    assert made["without_sample"]["too_short"] == SHORT
    assert len(made["without_sample"]) > 2
    assert 0.85 < made["backtranslated"] / (rows - SHORT) < 1
    assert judge["rows_in"] - judge["rows_out"] == judge["filtered_out"]
    before = {row["id"]: row["text"] for row in read_jsonl(texts)}
    for row, beside in zip(after, metas, strict=True):
        assert set(row) == {"id", "instruction", "input", "output"}
        assert beside[META]["backtranslation_source"] == before[row["id"]]
        assert row["instruction"].startswith("Tell me about this: ")
        assert is_liked(row)
        if name == "humpback":
            assert row["output"] == before[row["id"]]
    assert 0.4 < len(after) / rows < 1
    # A second run repeats only the failed requests.
    assert again < 0.3 * paid


@pytest.mark.parametrize("name", OF_TEXTS)
def test_a_judge_of_tasks_reads_the_text_and_one_of_pairs_does_not_need_it(name, tmp_path, monkeypatch):
    with FakeLLMServer(reply) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        export = run_recipe(recipe(name), "--export_path", str(tmp_path / "out" / "export.jsonl"))
        shown = [record for body in server.requests for record in parents_of(body) if "output" in record]
    texts = [row["text"] for row in read_jsonl(SAMPLE_TEXTS)]
    assert len(shown) == (12 if name == "humpback" else 13)
    assert {record.get("source") for record in shown} <= ({None} if name == "humpback" else set(texts))
    assert verify(read_run(export), read_input(SAMPLE_TEXTS)).holds


@pytest.mark.slow
@pytest.mark.parametrize("name", OF_TEXTS)
@pytest.mark.parametrize("after", [60, DISTINCT + 30], ids=["writing", "judging"])
def test_a_run_that_is_killed_goes_on_where_it_was(name, after, tmp_path, monkeypatch, texts):
    children, asked = [], []

    def answer(body):
        asked.append(json.dumps(body["messages"]))
        if len(asked) == after and len(children) == 1:
            os.kill(children[0].pid, signal.SIGKILL)
        return reply(body)

    export = tmp_path / "out" / "export.jsonl"
    command = [str(Path(sys.executable).with_name("dj-process")), "--config", str(recipe(name))]
    command += ["--dataset_path", str(texts), "--export_path", str(export)]
    command += ["--backtranslation_mapper.max_concurrency", "8"]

    def start():
        children.append(subprocess.Popen(command, cwd=REPOSITORY))
        return children[-1].wait(timeout=400)

    with FakeLLMServer(answer, latency_s=0.01) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        assert start() == -signal.SIGKILL
        assert not export.exists()
        assert start() == 0
    # Requests that were in flight are sent twice.
    assert len(asked) - len(set(asked)) <= (16 if after == 60 else 64)
    rows = read_jsonl(texts)[: DISTINCT + EQUAL]
    answers = [row["text"] if name == "humpback" else row["text"].splitlines()[0] for row in rows]
    assert len(read_jsonl(export)) == sum(is_liked({"output": text}) for text in answers)
    assert verify(read_run(export), read_input(texts)).holds


@pytest.mark.parametrize(("name", "calls"), [("humpback", 12), ("tegit", 13)])
def test_a_dry_run_tells_calls_tokens_and_price_and_asks_neither_writer_nor_judge(name, calls, tmp_path):
    export = tmp_path / "out" / "dry.jsonl"
    given = {"dry_run": "true", "price_per_1k_prompt": "0.0025", "price_per_1k_completion": "0.01"}
    more = [part for name, value in given.items() for part in (f"--backtranslation_mapper.{name}", value)]
    assert read_jsonl(run_recipe(recipe(name), "--export_path", str(export), *more)) == []
    made, judge = (record["figures"] for record in records_of(export))
    tokens = made["planned_prompt_tokens"], made["planned_completion_tokens"]
    assert (made["planned_calls"], made["rows_out"], judge["rows_in"]) == (calls, 14, 14)
    if name == "humpback":
        assert tokens[1] == 50 * calls
    assert made["planned_cost"] == pytest.approx((tokens[0] * 0.0025 + tokens[1] * 0.01) / 1000, abs=1e-5)
    assert "calls" not in made
    assert judge["unscored"] == {"empty_response": 14}


@pytest.mark.slow
@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize("name", OF_TEXTS)
def test_on_ray_the_same_rows_come_out(name, tmp_path, monkeypatch, texts):
    def answer(body):
        (record,) = parents_of(body)
        return "No." if len(record.get("text", "x")) % 5 == 0 else reply(body)

    with FakeLLMServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        folder = run_recipe_on_ray(
            recipe(name), "--dataset_path", str(texts), "--export_path", str(tmp_path / "export")
        )
        assert all("text" in parents_of(body)[0] for body in server.requests[:DISTINCT])
    rows = [row for row in read_jsonl(texts)[: DISTINCT + EQUAL] if len(row["text"]) % 5]
    answers = {row["id"]: row["text"] if name == "humpback" else row["text"].splitlines()[0] for row in rows}
    found = {row["id"]: row for row in read_export(folder)}
    assert found.keys() == {key for key, text in answers.items() if is_liked({"output": text})}
    for key, row in found.items():
        assert row["output"] == answers[key]
        assert row[META]["backtranslation_source"] == next(one["text"] for one in rows if one["id"] == key)
        score = "humpback_score" if name == "humpback" else "grounded_task_pass"
        assert row[STATS][score] == (5 if name == "humpback" else 1)
    assert verify(read_run(folder), read_input(texts)).holds
