"""`check`: what is installed, and what a dataset needs in a recipe."""

from __future__ import annotations

import re

import pytest

from mergeit_ops import cli
from tests.conftest import REPOSITORY, SAMPLE
from tests.recipe_runs import read_jsonl, run_recipe, write_jsonl


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
    assert "Recipes that run on it with --text_keys '[query, response]':" in printed
    assert "drops 1 row because query is null" in printed
    chats = [{"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": "b"}]}]
    _, printed, _ = checked(write_jsonl(tmp_path / "chats.jsonl", chats), capsys)
    assert "with --text_keys messages:\n" in printed
    assert "drops" not in printed


def chat(answer, **fields):
    return {"messages": [{"role": "user", "content": "a"}, {"role": "assistant", "content": answer, **fields}]}


def test_check_counts_rows_without_a_question_or_an_answer(tmp_path, capsys):
    calls = [{"type": "function", "function": {"name": "f", "arguments": "{}"}}]
    rows = [chat(""), chat(None), chat("b"), chat(None, tool_calls=calls), {"messages": None}, {"messages": []}]
    _, printed, _ = checked(write_jsonl(tmp_path / "chats.jsonl", rows), capsys)
    assert "drops 1 row because messages is null" in printed
    assert "\n1 row has no question that can be read.\n2 rows have no answer that can be read.\n" in printed
    assert "select_only, can select rows without an answer." in printed
    _, printed, _ = checked(write_jsonl(tmp_path / "whole.jsonl", [chat("b")]), capsys)
    assert " no question" not in printed
    assert " no answer" not in printed


CHATS = [
    {"messages": [{"role": "user", "content": f"What is {n} and {n}?"}, {"role": "assistant", "content": f"{n}"}]}
    for n in range(12)
]


def recipes_named(printed):
    """Return the recipes of each heading that the command has printed."""
    found = {}
    for line in printed.splitlines():
        if line.startswith("Recipes that run"):
            found[line] = text = []
        elif line.startswith("  "):
            text.append(line.strip())
    return {heading: re.findall(r"[\w/]+", " ".join(lines)) for heading, lines in found.items()}


def test_check_names_the_recipes_that_run_on_chats_and_the_option_for_others(tmp_path, capsys):
    data = write_jsonl(tmp_path / "chats.jsonl", CHATS)
    named = recipes_named(checked(data, capsys)[1])
    as_they_are = named["Recipes that run on it as they are:"]
    with_option = named["Recipes that run on it with --text_keys messages:"]
    assert {"mergeit_messages", "select_only_messages"} <= set(as_they_are)
    assert {"select_only", "decontaminate"} <= set(with_option)
    assert not {"mergeit_alpaca", "mergeit_sharegpt"} & {*as_they_are, *with_option}
    for recipe, *options in (("select_only_messages",), ("select_only", "--text_keys", "messages")):
        arguments = ("--dataset_path", str(data), "--export_path", str(tmp_path / recipe / "out.jsonl"))
        export = run_recipe(REPOSITORY / "recipes" / f"{recipe}.yaml", *arguments, *options)
        assert 0 < len(read_jsonl(export)) < len(CHATS)


def test_check_names_recipes_by_what_they_leave_out_where_most_fit(capsys):
    _, printed, _ = checked(SAMPLE, capsys)
    assert "mergeit_alpaca" in recipes_named(printed)["Recipes that run on it as they are:"]
    assert "recipes/methods/: all but humpback, tegit" in printed
    assert "mergeit_quickstart" not in printed


def test_check_names_the_keys_for_columns_of_other_names(tmp_path, capsys):
    rows = [{"problem": "1 + 1", "generated_solution": "2"}]
    status, printed, _ = checked(write_jsonl(tmp_path / "in.jsonl", rows), capsys)
    assert status == 0
    assert "with --text_keys '[problem, generated_solution]', and with instruction_key: problem, " in printed
    assert "select_only" in printed
    assert "mergeit_alpaca" not in printed


def test_check_names_the_recipes_that_make_rows_of_texts(tmp_path, capsys):
    status, printed, _ = checked(write_jsonl(tmp_path / "in.jsonl", [{"text": "a"}]), capsys)
    assert status == 0
    assert recipes_named(printed) == {"Recipes that run on it as they are:": ["recipes/methods/", "humpback", "tegit"]}


@pytest.mark.parametrize(("rows", "words"), [([], "has no rows"), ([{"x": 1}], "no sample format fits")])
def test_check_says_in_a_sentence_what_is_wrong_with_a_dataset(tmp_path, capsys, rows, words):
    status, _, said = checked(write_jsonl(tmp_path / "in.jsonl", rows), capsys)
    assert status == 1
    assert words in said
    assert "There is no file" in checked(tmp_path / "none.jsonl", capsys)[2]
