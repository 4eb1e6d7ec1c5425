"""`export-sft` on finished runs: the rows are what the merger sent and would read, and topics are not divided."""

from __future__ import annotations

import json
import shutil
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops import cli
from mergeit_ops.core.columns import META
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.prompts import DEFAULT_SYSTEM_PROMPT, build_messages, prompt_sha256
from mergeit_ops.core.merging.replies import parse_reply
from mergeit_ops.core.sample import Sample
from tests.llm_server import FakeLLMServer, merge_answer, merged_row, parents_of
from tests.recipe_runs import read_jsonl, run_recipe, write_jsonl, write_recipe
from tests.report.exports import content, merged, original, write_export
from tests.test_whole_runs import in_layout, pipeline, text_key_of, work_dir_of
from tests.thorough import every

OWN_PROMPT = "Merge these rows, in as few words as you can. Answer with JSON."


class Exported:
    """What the command printed, how it ended, and what it wrote."""

    def __init__(self, capsys: Any, export: Path, folder: Path, *arguments: object) -> None:
        capsys.readouterr()
        self.code = cli.main(["export-sft", str(export), "--output", str(folder), *map(str, arguments)])
        captured = capsys.readouterr()
        self.text = captured.out + captured.err
        self.files = {path.name: path for path in sorted(folder.iterdir())} if folder.is_dir() else {}
        self.train, self.validation = (
            read_jsonl(self.files[name]) if self.code == 0 and name in self.files else []
            for name in ("train.jsonl", "validation.jsonl")
        )
        self.rows = self.train + self.validation


@pytest.fixture
def export_sft(capsys, tmp_path):
    return lambda export, *arguments: Exported(capsys, export, tmp_path / "sft", *arguments)


def in_a_fence(body: dict) -> str:
    """Answer as many models do: the row is read, but it is no example to learn from."""
    return f"Here you are:\n```json\n{merge_answer(body)}\n```"


def asked(folder: Path, rows: list[dict], **merger: Any) -> tuple[Path, list[list[dict]]]:
    """Run a recipe with a server; return the export and the conversations that the server was sent."""
    merger = {"cache_path": None, **merger}
    with FakeLLMServer(in_a_fence) as server:
        recipe = write_recipe(
            folder,
            pipeline(server, **merger),
            write_jsonl(folder / "in.jsonl", rows),
            text_keys=text_key_of(rows[0]),
        )
        return run_recipe(recipe), [body["messages"] for body in server.requests if parents_of(body)]


def merged_rows(export: Path) -> dict[str, dict]:
    return {row[META]["row_id"]: row for row in read_jsonl(export) if row[META]["merge_status"] == "merged"}


@pytest.fixture(scope="module")
def finished(tmp_path_factory, embedded_rows) -> Path:
    """A run with a system prompt of its own, answers to choose from, and groups of up to three."""
    folder = tmp_path_factory.mktemp("finished")
    more = {"system_prompt": OWN_PROMPT, "num_candidates": 2, "max_group_size": 3}
    export, _ = asked(folder, embedded_rows, **more)
    return export


@pytest.mark.parametrize("layout", every(2, ["alpaca", "query_response", "messages of parts", "sharegpt"]))
def test_a_row_is_the_prompt_that_was_sent_and_an_answer_that_gives_the_merged_row(
    tmp_path, embedded_rows, export_sft, layout
):
    export, sent = asked(tmp_path, in_layout(layout, embedded_rows))
    found = export_sft(export)
    assert found.code == 0
    accepted = merged_rows(export)
    assert {row["row_id"] for row in found.rows} == accepted.keys()
    assert len(found.rows) == len(accepted) > 5
    names = [name for name in next(iter(accepted.values())) if not name.startswith("__dj__")]
    reading = resolve_format("auto", names)
    for row in found.rows:
        *prompt, answer = row["messages"]
        assert prompt in sent
        assert answer["role"] == "assistant"
        merge = accepted[row["row_id"]]
        assert row["topic_id"] == merge[META]["topic_id"]
        parents = [reading.read(json.loads(parent)).sample for parent in merge[META]["merge_parents"]]
        assert parse_reply(answer["content"], parents) == reading.read(merge).sample
        assert list(json.loads(answer["content"])) == ["instruction", "input", "output"]


def test_topics_are_in_one_file_only_and_the_seed_decides_which(finished, export_sft, tmp_path, capsys):
    found = export_sft(finished, "--validation", 0.3)
    topics = [{row["topic_id"] for row in rows} for rows in (found.train, found.validation)]
    assert all(topics)
    assert not topics[0] & topics[1]
    again = Exported(capsys, finished, tmp_path / "again", "--validation", 0.3)
    assert [path.read_bytes() for path in again.files.values()] == [path.read_bytes() for path in found.files.values()]
    others = [
        Exported(capsys, finished, tmp_path / f"s{seed}", "--validation", 0.5, "--seed", seed).validation
        for seed in range(6)
    ]
    assert len({frozenset(row["topic_id"] for row in rows) for rows in others}) > 1
    whole = Exported(capsys, finished, tmp_path / "whole", "--validation", 0)
    assert "validation.jsonl" not in whole.files
    assert len(whole.train) == len(found.rows)
    assert set(json.loads(whole.files["dataset_info.json"].read_text())) == {"mergeit_merger"}


def test_the_system_prompt_of_the_recipe_larger_groups_and_chosen_answers(finished, export_sft):
    found = export_sft(finished)
    assert {row["messages"][0]["content"] for row in found.rows} == {OWN_PROMPT}
    assert "Use the same system_prompt" in found.text
    counts = {len(row[META]["merge_parents"]) for row in merged_rows(finished).values()}
    assert counts == {2, 3}
    assert len(found.rows) == len(merged_rows(finished))


def test_without_the_record_a_prompt_of_ones_own_is_not_made_up(finished, export_sft, tmp_path, capsys):
    alone = Path(shutil.copy(finished, tmp_path / "alone.jsonl"))
    found = export_sft(alone)
    assert found.code == 1
    assert "another prompt" in found.text
    assert "--work-dir" in found.text
    assert not found.files
    given = Exported(capsys, alone, tmp_path / "given", "--work-dir", work_dir_of(finished))
    assert {row["messages"][0]["content"] for row in given.rows} == {OWN_PROMPT}
    todays = Exported(capsys, alone, tmp_path / "todays", "--any-prompt")
    assert len(todays.rows) == len(given.rows)
    assert todays.rows[0]["messages"][0]["content"] == DEFAULT_SYSTEM_PROMPT
    assert f"{len(todays.rows)} rows have another prompt" in todays.text


def test_a_row_that_is_no_longer_the_answer_is_counted_and_left_out(finished, export_sft, tmp_path):
    copy = Path(shutil.copytree(finished.parent, tmp_path / "copy")) / finished.name
    rows = read_jsonl(copy)
    changed = next(row for row in rows if row[META]["merge_status"] == "merged")
    changed["output"] = changed["output"].upper()
    write_jsonl(copy, rows)
    found = export_sft(copy)
    assert changed[META]["row_id"] not in {row["row_id"] for row in found.rows}
    assert len(found.rows) == len(merged_rows(copy)) - 1
    assert "1 left out: changed after the merge" in found.text


def test_rows_for_trl_hold_the_answer_apart(finished, export_sft, tmp_path, capsys):
    found = export_sft(finished, "--format", "prompt_completion")
    assert "dataset_info.json" not in found.files
    chats = Exported(capsys, finished, tmp_path / "chats").rows
    assert [row["prompt"] + row["completion"] for row in found.rows] == [row["messages"] for row in chats]
    assert all([turn["role"] for turn in row["completion"]] == ["assistant"] for row in found.rows)


def test_the_least_ratio_takes_the_merges_that_reach_it(finished, export_sft):
    ratios = sorted(row["__dj__stats__"]["merge_quality_ratio"] for row in merged_rows(finished).values())
    least = ratios[len(ratios) // 2]
    found = export_sft(finished, "--min-ratio", least)
    assert 0 < len(found.rows) == sum(ratio >= least for ratio in ratios) < len(ratios)
    assert f"{len(ratios) - len(found.rows)} left out: with a quality ratio below" in found.text


def hand_made(name: str, topic: int, **meta: Any) -> dict:
    """A merge with the prompt that is rebuilt from its parents."""
    parents = [content(f"First of {name}."), content(f"Second of {name}.")]
    prompt = build_messages([Sample(row["instruction"], row["input"], row["output"]) for row in parents])
    return merged(topic, name, text=merged_row(parents), parents=parents, prompt_sha256=prompt_sha256(prompt), **meta)


def test_what_cannot_be_exported_is_told_in_a_sentence(tmp_path, export_sft):
    def refused(rows: list[dict], *arguments: object) -> str:
        found = export_sft(write_export(tmp_path / "in.jsonl", rows), *arguments)
        assert found.code == 1
        assert not found.files
        return found.text

    assert "no merged rows" in refused([original(0, "a")])
    assert "merge_strategy: concat" in refused([merged(0, "a"), merged(1, "b")])
    assert "--validation 0" in refused([hand_made("a", 3), hand_made("b", 3)])
    assert "Ratios need a gate in the run" in refused([hand_made("a", 0, before=None)], "--min-ratio", 1.0)
    with pytest.raises(SystemExit):
        refused([hand_made("a", 3), hand_made("b", 4)], "--validation", 1)


def test_a_folder_of_parts_is_read_as_one_export(tmp_path, export_sft, capsys):
    rows = [hand_made(name, topic) for topic, name in enumerate("abcd")]
    for number, part in enumerate((rows[:3], rows[3:])):
        write_export(tmp_path / "parts" / f"{number}_000000.json", part)
    whole = Exported(capsys, write_export(tmp_path / "in.jsonl", rows), tmp_path / "whole")
    assert export_sft(tmp_path / "parts").rows == whole.rows
    assert len(whole.rows) == 4


def test_answers_that_the_merger_would_not_read_are_left_out(tmp_path, export_sft):
    """Of a run whose records are gone nothing else tells that a row was changed."""
    echo = hand_made("b", 1) | content("First of b.")
    found = export_sft(
        write_export(tmp_path / "in.jsonl", [hand_made("a", 0), echo, hand_made("c", 2), merged(3, "d")])
    )
    assert sorted(json.loads(row["messages"][-1]["content"])["instruction"][:10] for row in found.rows) == [
        "First of a",
        "First of c",
    ]
    assert "4 accepted merges; 2 rows, by a-model (2)" in found.text
    assert "1 left out: joined without a model" in found.text


def test_no_answer_spells_a_mark_of_chat_templates(tmp_path, export_sft):
    """A tokenizer would take it for the end of the turn: the student would learn to stop in the middle of a row."""
    texts = content("Explain <|im_end|> and </records> of a template.", "A turn ends with <|im_end|>; 1 < 2.")
    found = export_sft(write_export(tmp_path / "in.jsonl", [hand_made("a", 0) | texts]), "--validation", 0)
    answer = found.train[0]["messages"][-1]["content"]
    assert "<|" not in answer
    assert "</records>" not in answer
    assert "1 < 2" in answer
    assert json.loads(answer) == texts


@pytest.mark.parametrize("name", ["train.jsonl", "validation.jsonl", "dataset_info.json"])
def test_no_dataset_is_written_over(tmp_path, export_sft, name):
    (tmp_path / "sft").mkdir()
    (tmp_path / "sft" / name).write_text("mine")
    found = export_sft(write_export(tmp_path / "in.jsonl", [hand_made("a", 0), hand_made("b", 1)]))
    assert found.code == 1
    assert f"{name}' exists already" in found.text
    assert list(found.files) == [name]
    assert (tmp_path / "sft" / name).read_text() == "mine"


def test_the_length_of_the_longest_row_is_told(tmp_path, export_sft):
    short = export_sft(write_export(tmp_path / "in.jsonl", [hand_made("a", 0), hand_made("b", 1)]), "--validation", 0)
    whole = "".join(turn["content"] for turn in short.train[0]["messages"])
    told = int(short.text.partition("has about ")[2].split()[0].replace(",", ""))
    assert told == pytest.approx(len(whole) / 4, rel=0.05)
