"""Rows without the columns that a recipe reads are called by their layout, with what to do."""

from __future__ import annotations

import pytest

from mergeit_ops.dataset.foreign_rows import explain_foreign_rows
from mergeit_ops.errors import DatasetError
from tests.conftest import REPOSITORY
from tests.recipe_runs import run_command, run_recipe, write_jsonl, write_recipe

CHATS = [{"messages": [{"role": "user", "content": f"a{n}"}, {"role": "assistant", "content": "b"}]} for n in range(3)]
SELECT = {"budget_selector": {"select_num": 2}}
TAKE_ANOTHER = "This recipe cannot read them; take another one, such as recipes/mergeit_messages.yaml or "


@pytest.fixture
def chats(tmp_path):
    return write_jsonl(tmp_path / "chats.jsonl", CHATS)


def explained(recipe, *overrides):
    with pytest.raises((ValueError, KeyError)) as raised:
        run_recipe(recipe, *overrides)
    return explain_foreign_rows([raised.value])


def test_text_keys_that_the_rows_lack_can_be_overridden_where_all_operators_read_the_layout(tmp_path, chats):
    sentence = explained(write_recipe(tmp_path, [SELECT], chats, text_keys=["instruction", "output"]))
    assert sentence == (
        "The rows have no column 'instruction' or 'output', which text_keys or a step of the recipe names. They have "
        "'messages': sample format messages. Add --text_keys messages to run this recipe on them. `python -m "
        "mergeit_ops check FILE` names all recipes that run on a file."
    )
    run_recipe(tmp_path / "recipe.yaml", "--text_keys", "messages")


def test_text_operators_of_a_recipe_that_sets_no_text_keys_read_the_column_of_the_option(tmp_path):
    data = write_jsonl(tmp_path / "in.jsonl", [{"instruction": f"{n}", "output": "a b"} for n in range(3)])
    recipe = write_recipe(tmp_path, [{"text_length_filter": {"min_len": 1}}, SELECT], data, text_keys="text")
    recipe.write_text(recipe.read_text().replace("text_keys: text\n", ""))
    assert "Add --text_keys '[instruction, output]' to run this recipe on them" in explained(recipe)
    run_recipe(recipe, "--text_keys", "[instruction, output]")


def test_a_step_that_reads_a_column_which_the_rows_lack_calls_for_another_recipe(tmp_path, chats):
    step = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'n': row['output']}", "skip_op_error": False}}
    recipe = write_recipe(tmp_path, [step, SELECT], chats, text_keys=["instruction", "output"])
    assert TAKE_ANOTHER in explained(recipe)
    assert TAKE_ANOTHER in explained(recipe, "--text_keys", "messages")


def test_rows_that_are_all_dropped_for_a_column_that_they_lack_are_called_by_their_layout(tmp_path, chats):
    overrides = ("--dataset_path", str(chats), "--export_path", str(tmp_path / "out.jsonl"), "--text_keys", "messages")
    with pytest.raises(DatasetError, match="no rows reached .* no column 'instruction' or 'output'.*" + TAKE_ANOTHER):
        run_recipe(REPOSITORY / "recipes/ablations/no_merging.yaml", *overrides)


def test_a_source_without_the_columns_of_the_others_is_named(tmp_path, chats):
    alpaca = write_jsonl(tmp_path / "alpaca.jsonl", [{"instruction": f"{n}", "output": "a b"} for n in range(3)])
    sources = [{"type": "local", "path": str(path)} for path in (alpaca, chats)]
    recipe = write_recipe(tmp_path, [SELECT], alpaca, text_keys="output")
    recipe.write_text(recipe.read_text().replace(f"dataset_path: {alpaca}\n", f"dataset: {{configs: {sources}}}\n"))
    assert explained(recipe) == (
        f"The rows of {chats} have no column 'output', which text_keys or a step of the recipe names. They have "
        "'messages': sample format messages. The sources of the recipe have different columns. Convert one of them, or "
        "run the recipe on each layout."
    )


def test_rows_of_no_layout_are_told_the_keys(tmp_path):
    data = write_jsonl(tmp_path / "in.jsonl", [{"problem": "a", "solution": "b"}])
    assert "Set instruction_key: problem and response_key: solution" in explained(
        write_recipe(tmp_path, [SELECT], data)
    )


def test_an_error_of_a_run_whose_rows_have_the_columns_is_not_explained(tmp_path, chats):
    step = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'n': row['x']}", "skip_op_error": False}}
    assert explained(write_recipe(tmp_path, [step, SELECT], chats, text_keys="messages")) is None


def test_a_run_without_our_operators_is_not_explained(tmp_path, chats):
    step = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'n': row['output']}", "skip_op_error": False}}
    assert explained(write_recipe(tmp_path, [step], chats, text_keys=["output"])) is None


def test_an_error_after_a_run_is_not_explained(tmp_path, chats):
    assert explained(write_recipe(tmp_path, [SELECT], chats, text_keys="output"))
    with pytest.raises(KeyError) as raised:
        {}["output"]
    assert explain_foreign_rows([raised.value]) is None


def test_the_command_ends_with_the_explanation(tmp_path, chats):
    recipe = write_recipe(tmp_path, [SELECT], chats)
    done = run_command("dj-process", "--config", str(recipe), cwd=tmp_path)
    assert done.returncode
    assert "Add --text_keys messages to run this recipe" in done.stdout.splitlines()[-1]
