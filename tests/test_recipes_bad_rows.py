"""Every bundled recipe on rows with invalid values: it handles them, or stops with a sentence."""

from __future__ import annotations

import json

import pytest
import yaml

from tests.recipe_runs import read_jsonl, run_recipe, write_jsonl
from tests.test_recipes import RECIPES, on_ray, process_of
from tests.thorough import every

TURNS = [{"role": "user", "content": "What is it?"}, {"role": "assistant", "content": "That."}]
SPOKEN = [{"from": "human", "value": "What is it?"}, {"from": "gpt", "value": "That."}]
NOT_TEXT = [7, 1.5, True, ["a", "b"], [str(number) for number in range(30)], {"a": 1}, [{"a": None}]]
NO_TURNS = [
    *NOT_TEXT,
    json.dumps(TURNS),
    "no turns at all",
    [None, *TURNS],
    ["a turn that is text", *TURNS],
    [TURNS],
    [{"role": "user", "content": None}, TURNS[1]],
    [{"role": "user", "content": 3}, {"role": "assistant", "content": {"text": "A."}}],
    [{"role": None, "content": ["part"]}, TURNS[1]],
    [{"from": None, "value": 1}, SPOKEN[1]],
    [{"from": "human", "value": None}, SPOKEN[1]],
]


def chat(row: dict, asked: str, said: str, by: tuple[str, str]) -> list[dict]:
    return [
        {by[0]: asked, by[1]: f"{row['instruction']} {row['input']}".strip()},
        {by[0]: said, by[1]: row["output"]},
    ]


def rows_for(path, sample_rows):
    """Good rows in the recipe's format, and bad rows with each invalid value in each column."""
    good = [{name: row[name] for name in ("instruction", "input", "output")} for row in sample_rows[::5]]
    keys = yaml.safe_load(path.read_text(encoding="utf-8"))["text_keys"]
    if keys in ("messages", ["messages"]):
        return [{"messages": chat(row, "user", "assistant", ("role", "content"))} for row in good], [
            {"messages": value} for value in NO_TURNS
        ]
    if keys == "conversations":
        return [{"conversations": chat(row, "human", "gpt", ("from", "value"))} for row in good], [
            {"conversations": value} for value in NO_TURNS
        ]
    base = {"instruction": "Say what it is.", "input": "of it", "output": "It is that."}
    bad = [
        base | {column: value, other: f"for {number} in {column}"}
        for column, other in (("instruction", "output"), ("input", "instruction"), ("output", "instruction"))
        for number, value in enumerate(NOT_TEXT)
    ]
    return good, bad


def without_models(process: list[tuple[str, dict]]) -> list[dict]:
    """The recipe with replacements for servers and large models; the cleaning steps are unchanged."""
    changed = []
    for name, parameters in process:
        given = dict(parameters)
        if name == "llm_pair_merger_mapper":
            given = {key: given[key] for key in ("sample_format",) if key in given} | {"merge_strategy": "concat"}
        if name == "quality_gate_filter" and given.get("scorer") == "llm_judge":
            given = {"scorer": "tests.user_scorers:ByLength"}
        changed.append({name: given})
    return changed


ONE_OF_A_KIND = [
    path
    for path in RECIPES
    # The other recipes have the same cleaning steps. They differ only in our operators, which the contract suite tests.
    if not on_ray(path)
    and path.parent.name != "methods"
    and path.stem not in ("mergeit_local_llm", "mergeit_small_llm")
    and (path.parent.name != "ablations" or path.stem in ("concat", "instruction_length"))
]


@pytest.mark.parametrize("path", every(6, ONE_OF_A_KIND), ids=lambda path: path.stem)
def test_a_recipe_bears_values_of_every_type(tmp_path, sample_rows, path):
    good, bad = rows_for(path, sample_rows)
    data = write_jsonl(tmp_path / "in.jsonl", [*good, *bad])
    recipe = yaml.safe_load(path.read_text(encoding="utf-8"))
    recipe |= {"dataset_path": str(data), "export_path": str(tmp_path / "out" / "export.jsonl"), "np": 1}
    recipe["process"] = without_models(process_of(path))
    for entry in recipe["process"]:
        if "facility_location_selector" in entry:
            entry["facility_location_selector"] |= {"select_ratio": 1.0, "num_per_topic": None, "select_num": None}
        if "budget_selector" in entry:
            entry["budget_selector"]["select_num"] = 10_000
    changed = tmp_path / "recipe.yaml"
    changed.write_text(yaml.safe_dump(recipe), encoding="utf-8")
    kept = json.dumps(read_jsonl(run_recipe(changed)), ensure_ascii=False)
    if "messages" in good[0] or "conversations" in good[0]:
        assert "a turn that is text" in kept
        assert "no turns at all" in kept
    else:
        # All rows are selected, so each is in the export, as a row or as a parent of a merge.
        assert [
            row for row in bad if not any(text in kept for text in row.values() if str(text).startswith("for "))
        ] == []
    assert good[0].get("instruction", "") in kept
