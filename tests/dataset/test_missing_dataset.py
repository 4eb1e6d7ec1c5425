"""A `dataset_path` without a file is called by its name."""

from __future__ import annotations

from pathlib import Path

import pytest

from mergeit_ops.dataset.missing_dataset import explain_missing_dataset
from tests.recipe_runs import run_command, run_recipe, write_jsonl, write_recipe

SELECT = {"budget_selector": {"select_num": 2}}


def test_a_path_without_a_file_is_named_with_the_folder_that_it_starts_at(tmp_path):
    recipe = write_recipe(tmp_path, [SELECT], Path("no/such.jsonl"))
    with pytest.raises(ValueError, match="strategy") as raised:
        run_recipe(recipe)
    assert explain_missing_dataset([raised.value]) == (
        "There is no file or folder no/such.jsonl, which dataset_path names. Relative paths start at the folder in "
        f"which the run starts, here {Path.cwd()}."
    )


def test_the_last_line_of_the_log_names_the_path(tmp_path):
    recipe = write_recipe(tmp_path, [SELECT], Path("no/such.jsonl"))
    done = run_command("dj-process", "--config", str(recipe), cwd=tmp_path)
    assert done.returncode == 1
    last = done.stdout.splitlines()[-1]
    assert "There is no file or folder no/such.jsonl" in last
    assert str(tmp_path) in last


def test_another_error_of_a_run_is_not_explained(tmp_path):
    data = write_jsonl(tmp_path / "in.jsonl", [{"instruction": "a", "output": "b"}])
    run_recipe(write_recipe(tmp_path, [SELECT], data, text_keys=["instruction", "output"]))
    assert explain_missing_dataset([ValueError("No data load strategy found for huggingface None")]) is None
    assert explain_missing_dataset([ValueError("other")]) is None
