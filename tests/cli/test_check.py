"""`check`: what is installed, and what a dataset needs in a recipe."""

from __future__ import annotations

import pytest

from mergeit_ops import cli
from tests.recipe_runs import write_jsonl


def test_check_finds_everything_registered(capsys):
    assert cli.main(["check"]) == 0
    assert "quality_gate_filter          registered" in capsys.readouterr().out


def checked(path, capsys):
    status = cli.main(["check", str(path)])
    printed = capsys.readouterr()
    return status, printed.out, printed.err


def test_check_tells_what_a_dataset_needs_in_a_recipe(tmp_path, capsys):
    rows = [{"query": "a", "response": "b"}, {"query": None, "response": "c"}]
    status, printed, _ = checked(write_jsonl(tmp_path / "in.jsonl", rows), capsys)
    assert status == 0
    assert "2 rows, sample format query_response" in printed
    assert "--text_keys '[query, response]'" in printed
    assert "drops 1 rows because query is null" in printed
    chats = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}]
    _, printed, _ = checked(write_jsonl(tmp_path / "chats.jsonl", chats), capsys)
    assert "--text_keys messages\n" in printed
    assert "drops" not in printed


@pytest.mark.parametrize(("rows", "words"), [([], "has no rows"), ([{"x": 1}], "no sample format fits")])
def test_check_says_in_a_sentence_what_is_wrong_with_a_dataset(tmp_path, capsys, rows, words):
    status, _, said = checked(write_jsonl(tmp_path / "in.jsonl", rows), capsys)
    assert status == 1
    assert words in said
    assert "There is no file" in checked(tmp_path / "none.jsonl", capsys)[2]
