"""Whole runs with each format of instruction data: rows keep their content, and `verify` holds."""

import json
import shutil

import pytest

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.ops import FacilityLocationSelector
from tests.core.formats.test_layouts import LAYOUTS, READ, REFUSED, columns_of, rows_of
from tests.recipe_runs import make_dataset, read_jsonl, run_command, run_recipe, write_recipe
from tests.thorough import every

TURNS_IN = {"sample_format": "prompt_completion", "instruction_key": "input", "response_key": "output"}
KEYS = {
    "input_messages_output": TURNS_IN,
    "input_messages_output_reasoning": TURNS_IN,
    "problem_solution": {"instruction_key": "problem", "response_key": "generated_solution"},
    "prompt_response": {"instruction_key": "prompt", "response_key": "response"},
    "query_tools_answers": {"instruction_key": "query", "response_key": "answers"},
}
PROBLEMS = {name: problems for name, (_, problems) in READ.items()} | REFUSED


def content(row):
    return {name: value for name, value in row.items() if name not in (META, STATS)}


def filled(value, like):
    """A value as in a table of all rows: keys that only other rows have are null."""
    if isinstance(value, dict) and isinstance(like, dict):
        return {key: filled(value.get(key), like[key]) for key in like}
    if isinstance(value, list) and isinstance(like, list):
        return [filled(item, of) for item, of in zip(value, like, strict=True)]
    return value


def recipe_over(tmp_path, name, process):
    data = tmp_path / f"{name}.jsonl"
    shutil.copy(LAYOUTS / data.name, data)
    keys = KEYS.get(name, {})
    return write_recipe(
        tmp_path,
        [{operator: {**keys, **parameters}} for operator, parameters in process],
        data,
        text_keys=next(iter(rows_of(name)[0])),
    )


@pytest.mark.parametrize("name", every(2, PROBLEMS))
def test_rows_are_merged_where_nothing_is_lost_and_leave_as_they_came_elsewhere(tmp_path, name):
    grouper = ("topic_cluster_grouper", {"num_clusters": 1})
    merger = ("llm_pair_merger_mapper", {"merge_strategy": "concat"})
    gate = ("quality_gate_filter", {"scorer": "tests.user_scorers:ByLength", "gamma": 0.5})
    export = read_jsonl(run_recipe(recipe_over(tmp_path, name, [grouper, merger, gate])))
    rows = rows_of(name)
    if PROBLEMS[name] == (None, None):
        (merged,) = export
        assert [content(decode_row(text)) for text in merged[META]["merge_parents"]] == [
            filled(row, content(decode_row(text)))
            for row, text in zip(rows, merged[META]["merge_parents"], strict=True)
        ]
        assert all(merged[column] is not None for column in columns_of(rows) if column != "license")
    else:
        assert [row[META]["merge_error"] for row in export] == list(PROBLEMS[name])
        assert [content(row) for row in export] == [
            filled(row, content(kept)) for row, kept in zip(rows, export, strict=True)
        ]


@pytest.mark.parametrize("name", ["messages_json_text", "prompt_completion_chat", "messages_template_kwargs"])
def test_verify_holds(tmp_path, name):
    grouper = ("topic_cluster_grouper", {"num_clusters": 1})
    merger = ("llm_pair_merger_mapper", {"merge_strategy": "concat"})
    export = run_recipe(recipe_over(tmp_path, name, [grouper, merger]))
    done = run_command(
        "python", "-m", "mergeit_ops", "verify", str(tmp_path / f"{name}.jsonl"), str(export), cwd=tmp_path
    )
    assert done.returncode == 0, done.stdout


def test_a_licence_is_not_merged_with_another_one(tmp_path):
    grouper = ("topic_cluster_grouper", {"num_clusters": 1})
    merger = ("llm_pair_merger_mapper", {"merge_strategy": "concat", "pair_within": ["license"]})
    export = read_jsonl(run_recipe(recipe_over(tmp_path, "licences_differ", [grouper, merger])))
    assert [content(row) for row in export] == rows_of("licences_differ")


@pytest.mark.parametrize("name", PROBLEMS)
def test_a_selection_leaves_rows_as_they_came(name):
    rows = make_dataset(rows_of(name))
    kept = FacilityLocationSelector(select_num=1, **KEYS.get(name, {})).run(rows).to_list()
    assert len(kept) == 1
    assert kept[0] in rows.to_list()


def test_turns_as_json_text_stay_text_in_the_export(tmp_path):
    merger = ("llm_pair_merger_mapper", {"merge_strategy": "concat"})
    grouper = ("topic_cluster_grouper", {"num_clusters": 1})
    (row,) = read_jsonl(run_recipe(recipe_over(tmp_path, "messages_json_text", [grouper, merger])))
    assert [turn["role"] for turn in json.loads(row["messages"])] == ["user", "assistant"]
