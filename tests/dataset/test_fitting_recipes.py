"""Whether a recipe runs on a dataset is told by what it declares."""

from __future__ import annotations

import pytest

import mergeit_ops.ops  # noqa: F401
from mergeit_ops.dataset.fitting_recipes import fits
from mergeit_ops.dataset.recipe import recipe_in_file
from tests.recipe_runs import write_recipe

SELECT = {"budget_selector": {"select_num": 3}}
ALPACA, CHATS = ["instruction", "output"], ["messages"]


def told(tmp_path, process, columns, keys=None, **settings):
    recipe = recipe_in_file(write_recipe(tmp_path, process, tmp_path / "in.jsonl", **settings))
    return fits(recipe, columns, keys or {})


@pytest.mark.parametrize(
    ("code", "chats_fit"),
    [
        ("lambda row: {**row, 'output': row['output'].strip()}", False),
        ("lambda row: {**row, 'output': ''}", True),
        ("lambda row: {**row, 'note': 'x'}", True),
    ],
)
def test_a_step_that_reads_a_column_of_another_layout_does_not_fit(tmp_path, code, chats_fit):
    process = [{"python_lambda_mapper": {"lambda_str": code}}, SELECT]
    assert told(tmp_path, process, ALPACA, text_keys=ALPACA)
    assert told(tmp_path, process, CHATS, text_keys=ALPACA) is chats_fit


def test_a_column_that_an_earlier_step_writes_is_not_needed(tmp_path):
    writes = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'text': str(row)}"}}
    reads = {"words_num_filter": {"text_key": "text", "min_num": 1}}
    assert told(tmp_path, [writes, reads, SELECT], CHATS, text_keys="text")
    assert not told(tmp_path, [reads, SELECT], CHATS, text_keys="text")


@pytest.mark.parametrize("step", ["text_length_filter", "clean_links_mapper"])
def test_a_text_operator_reads_the_first_of_text_keys_which_must_be_text(tmp_path, step):
    assert told(tmp_path, [{step: {}}, SELECT], ALPACA, text_keys="text")
    assert not told(tmp_path, [{step: {}}, SELECT], CHATS, text_keys="text")
    assert not told(tmp_path, [{step: {"text_key": "text"}}, SELECT], ALPACA, text_keys="text")


def test_a_deduplicator_reads_text_unless_rows_have_a_hash(tmp_path):
    hashed = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, '__dj__hash': str(row)}"}}
    deduplicated = [{"document_deduplicator": {}}, SELECT]
    assert not told(tmp_path, deduplicated, CHATS, text_keys="text")
    assert told(tmp_path, [hashed, *deduplicated], CHATS, text_keys="text")


def test_a_fixed_layout_and_fixed_keys_need_their_columns(tmp_path):
    assert not told(tmp_path, [{"budget_selector": {"select_num": 3, "sample_format": "sharegpt"}}], CHATS)
    process = [{"budget_selector": {"select_num": 3, "response_key": "reply"}}]
    assert told(tmp_path, process, ["instruction", "reply"])
    assert not told(tmp_path, process, ALPACA)


def test_keys_may_be_given_to_all_operators(tmp_path):
    columns = ["problem", "solution"]
    assert not told(tmp_path, [SELECT], columns)
    assert told(tmp_path, [SELECT], columns, {"instruction_key": "problem", "response_key": "solution"})


def test_answers_recorded_for_other_rows_do_not_fit(tmp_path):
    merger = {"backend": "recorded", "api_or_hf_model": "answers.jsonl"}
    process = [{"topic_cluster_grouper": {}}, {"llm_pair_merger_mapper": merger}]
    assert not told(tmp_path, process, ALPACA)
