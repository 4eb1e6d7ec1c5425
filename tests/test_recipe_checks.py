"""Recipes in which other operators would lose rows around ours are stopped, and the error says what to do."""

from __future__ import annotations

import json
from pathlib import Path
from typing import Any

import pytest
from datasets import Dataset

from mergeit_ops import ops
from mergeit_ops.core.columns import EMBEDDING, META
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, RecipeError
from tests.llm_server import FakeLLMServer
from tests.recipe_runs import make_dataset, read_jsonl, run_recipe, write_jsonl, write_recipe
from tests.test_whole_runs import in_layout, pipeline, work_dir_of

WORDS = {"words_num_filter": {"text_key": "text", "min_num": 1}}
TEMPLATE = "{query}\n{response}"


def with_text(rows: list[dict], **columns: Any) -> list[dict]:
    """Rows in Data-Juicer's own format, with an additional column `text`."""
    return [
        {
            "id": row["id"],
            "query": row["instruction"],
            "response": row["output"],
            "text": f"{row['instruction']}\n{row['output']}",
            EMBEDDING: row[EMBEDDING],
            **columns,
        }
        for row in rows
    ]


def without(rows: list[dict], *columns: str) -> list[dict]:
    return [{name: value for name, value in row.items() if name not in columns} for row in rows]


def recipe_over(folder: Path, rows: list[dict], process: list[dict], text_keys: Any = "query", **more: Any) -> Path:
    return write_recipe(folder, process, write_jsonl(folder / "in.jsonl", rows), text_keys=text_keys, **more)


def merged_of(rows: list[dict]) -> list[dict]:
    return [row for row in rows if row[META]["merge_status"] == "merged"]


def figures_of(export: Path, operator: str = "llm_pair_merger_mapper") -> dict[str, Any]:
    (record,) = [record for record in read_manifests(work_dir_of(export)) if record["operator"] == operator]
    return record["figures"]


CHATS = [{"role": "user", "content": "x"}]

STOPPED = {
    "text_keys names it": ({}, [], "text", "text", "text_keys of the recipe"),
    "text_keys names it among others": ({}, [], ["query", "text"], "text", "text_keys of the recipe"),
    "an operator behind the gate reads it": ({}, [WORDS], "query", "text", "text_key of words_num_filter"),
    "by another key": (
        {"lang": "en"},
        [{"specified_field_filter": {"field_key": "id", "target_value": ["x"]}}],
        "query",
        "id",
        "field_key of specified_field_filter",
    ),
    "a lambda mentions it": (
        {},
        [{"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'words': len(row['text'])}"}}],
        "query",
        "text",
        "lambda_str of python_lambda_mapper",
    ),
}


@pytest.mark.parametrize("case", STOPPED)
def test_a_column_that_merging_empties_and_the_recipe_reads_stops_the_run_before_any_call(
    tmp_path, embedded_rows, case
):
    columns, behind, text_keys, column, reader = STOPPED[case]
    rows = with_text(embedded_rows, **columns)
    with FakeLLMServer() as server:
        recipe = recipe_over(tmp_path, rows, [*pipeline(server), *behind], text_keys)
        with pytest.raises(RecipeError, match=f"llm_pair_merger_mapper: the column '{column}' would be null") as caught:
            run_recipe(recipe)
        assert server.requests == []
    sentence = str(caught.value)
    assert reader in sentence
    assert all(cure in sentence for cure in (f"derived_columns: {{{column}: ", "before the grouper"))
    # All its values differ.
    assert "pair_within" not in sentence
    assert "parents of" in sentence
    assert not (tmp_path / "out" / "export.jsonl").exists()


NOT_TEXT = {
    "struct": (lambda number: {"n": number, "lang": "en"}, {"specified_field_filter": {"field_key": "c.lang"}}),
    "list": (lambda number: [f"tag {number}"], {"specified_field_filter": {"field_key": "c"}}),
    "number": (lambda number: number * 1.5, {"general_field_filter": {"filter_condition": "c > 3"}}),
    "truth": (lambda number: number % 2 == 0, {"general_field_filter": {"filter_condition": "c == True"}}),
}


@pytest.mark.parametrize(("case", "embedded"), [*((case, True) for case in NOT_TEXT), ("number", False)])
def test_only_cures_that_work_for_the_type_of_the_column_are_named(tmp_path, embedded_rows, case, embedded):
    value_of, reader = NOT_TEXT[case]
    rows = [row | {"c": value_of(number)} for number, row in enumerate(with_text(embedded_rows))]
    if not embedded:
        rows = without(rows, EMBEDDING)
    with pytest.raises(RecipeError, match="the column 'c' would be null in merged rows") as caught:
        run_recipe(recipe_over(tmp_path, rows, [*pipeline(), reader]))
    assert "derived_columns" not in str(caught.value)
    agree = (
        "Choose one: put the operator that reads it before the grouper; or merge only rows with the same value, with "
    )
    differ = "What helps: put the operator that reads it before the grouper."
    assert (f"{agree}pair_within: [c]." if case == "truth" else differ) in str(caught.value)


def test_without_a_gate_and_for_conversations_it_is_the_same(tmp_path, embedded_rows):
    rows = [row | {"text": f"{row['id']} text"} for row in in_layout("messages", embedded_rows)]
    process = [*pipeline(similarity_threshold=0.3)[:-1], WORDS]
    with pytest.raises(RecipeError, match=r'derived_columns: \{text: "\{instruction\}.n\{output\}"\}'):
        run_recipe(recipe_over(tmp_path, rows, process, "messages"))


@pytest.mark.parametrize("first", ["topic_cluster_grouper", "sentence_embedding_mapper"])
def test_what_is_certain_is_said_before_any_row_is_embedded(tmp_path, embedded_rows, first):
    rows = without(with_text(embedded_rows), EMBEDDING)
    before = [] if first == "topic_cluster_grouper" else [{first: {"embedding_model": "a-model-that-is-not-there"}}]
    process = pipeline()
    process[0]["topic_cluster_grouper"]["embedding_model"] = "a-model-that-is-not-there"
    with pytest.raises(RecipeError, match=r"llm_pair_merger_mapper: the column 'text'.*No row was embedded"):
        run_recipe(recipe_over(tmp_path, rows, [*before, *process, WORDS]))


@pytest.mark.parametrize("columns", [{"text": "the same"}, {"text": None}, {}], ids=["constant", "null", "not there"])
def test_a_column_in_which_all_parents_agree_stops_nothing(tmp_path, embedded_rows, columns):
    rows = without(with_text(embedded_rows), "text")
    rows = [row | columns for row in rows]
    reader = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'n': len(row.get('text') or '')}"}}
    found = read_jsonl(run_recipe(recipe_over(tmp_path, rows, [*pipeline(), reader])))
    assert merged_of(found)
    assert all(row.get("text") == columns.get("text") for row in merged_of(found))


def test_rows_that_are_never_merged_stop_nothing(tmp_path, embedded_rows):
    rows = [
        row | {"history": [["Hello.", f"Hello number {number}!"]]}
        for number, row in enumerate(without(with_text(embedded_rows[:20]), EMBEDDING))
    ]
    found = read_jsonl(run_recipe(recipe_over(tmp_path, rows, [*pipeline(), WORDS], "text")))
    assert {row[META]["merge_error"] for row in found} == {"multi_turn"}


def test_values_that_differ_only_between_rows_that_are_not_merged_stop_nothing(tmp_path, embedded_rows):
    # Rows come as pairs of near copies; the column tells the pairs apart.
    pairs = [row | {"response": row["response"] + end} for row in with_text(embedded_rows[:20]) for end in ("", ".")]
    process = [
        {"topic_cluster_grouper": {"num_clusters": 3}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat", "similarity_threshold": 0.99}},
        {"words_num_filter": {"text_key": "text", "min_num": 1, "skip_op_error": False}},
    ]
    found = read_jsonl(run_recipe(recipe_over(tmp_path, pairs, process, "text")))
    assert len(merged_of(found)) == 20


@pytest.mark.parametrize("more", [{"merge_strategy": "none"}, {"dry_run": True}], ids=str)
def test_a_run_that_merges_nothing_goes_on(tmp_path, embedded_rows, more, lines):
    process = [*pipeline(**more), WORDS]
    assert len(read_jsonl(run_recipe(recipe_over(tmp_path, with_text(embedded_rows), process, "text")))) > 40
    warned = [line for line in lines if "without dry_run the run would stop: the column 'text'" in line]
    assert bool(warned) == ("dry_run" in more)


def test_nothing_that_reads_the_column_stops_nothing_and_the_summary_counts_it(tmp_path, embedded_rows, lines):
    export = run_recipe(recipe_over(tmp_path, with_text(embedded_rows), pipeline(gamma=0.01)))
    merged = merged_of(read_jsonl(export))
    assert figures_of(export)["emptied_columns"] == {"id": len(merged), "text": len(merged)}
    assert all(row["text"] is None for row in merged)
    assert any("MergeIT summary" in line and f"emptied columns (id {len(merged)}, text" in line for line in lines)


def test_a_derived_column_is_written_and_lets_the_run_go_on(tmp_path, embedded_rows):
    process = [*pipeline(gamma=1.4, derived_columns={"text": TEMPLATE}), WORDS]
    rows = with_text(embedded_rows)
    export = run_recipe(recipe_over(tmp_path, rows, process, "text"))
    found = read_jsonl(export)
    assert {row[META]["merge_status"] for row in found} == {"original", "merged", "restored"}
    assert all(row["text"] == f"{row['query']}\n{row['response']}" for row in found)
    texts = {row["id"]: row["text"] for row in rows}
    for row in merged_of(found):
        assert all(decode_row(text)["text"] == texts[decode_row(text)["id"]] for text in row[META]["merge_parents"])
    assert figures_of(export)["emptied_columns"].keys() == {"id"}


def test_a_restored_parent_gets_its_own_value_back(tmp_path, embedded_rows):
    rows = [row | {"text": f"own text of {row['id']}"} for row in with_text(embedded_rows)]
    process = [*pipeline(gamma=99.0, derived_columns={"text": TEMPLATE}), WORDS]
    found = read_jsonl(run_recipe(recipe_over(tmp_path, rows, process, "text")))
    assert any(row[META]["merge_status"] == "restored" for row in found)
    assert all(row["text"] == f"own text of {row['id']}" for row in found)


@pytest.mark.parametrize("layout", ["query_response", "messages"])
def test_another_answer_that_the_gate_chooses_gets_the_column_too(tmp_path, embedded_rows, layout):
    answers = iter(range(1_000_000))

    def longer_and_longer(body: dict) -> str:
        number = next(answers)
        return json.dumps({"instruction": f"I {number}", "input": "", "output": f"O {number} " + "x" * 20 * number})

    rows = [row | {"text": "t" + row["id"]} for row in in_layout(layout, embedded_rows)]
    column = {"query_response": "query", "messages": "messages"}[layout]
    template = {"query_response": TEMPLATE, "messages": "{instruction}\n{output}"}[layout]
    with FakeLLMServer(answer=longer_and_longer) as server:
        process = pipeline(
            server, gamma=0.01, num_candidates=3, similarity_threshold=0.3, derived_columns={"text": template}
        )
        found = read_jsonl(run_recipe(recipe_over(tmp_path, rows, [*process, WORDS], column)))
    merged = merged_of(found)
    assert merged
    for row in merged:
        texts = [turn["content"] for turn in row["messages"][-2:]] if layout == "messages" else None
        assert row["text"] == "\n".join(texts or (row["query"], row["response"]))
        assert row[META]["merge_candidates"] == []
    numbers = [int(row["text"].split()[1]) for row in merged]
    assert any(number % 3 for number in numbers), "the gate has chosen the first answer only"


def test_a_derived_column_on_the_command_line(tmp_path, embedded_rows):
    recipe = recipe_over(tmp_path, with_text(embedded_rows), [*pipeline(gamma=0.01), WORDS], "text")
    export = run_recipe(recipe, "--llm_pair_merger_mapper.derived_columns.text", "{query} / {response}")
    merged = merged_of(read_jsonl(export))
    assert merged
    assert all(row["text"] == f"{row['query']} / {row['response']}" for row in merged)


def test_an_unknown_name_in_a_template_stops_the_run_before_any_call(tmp_path, embedded_rows):
    with FakeLLMServer() as server:
        process = pipeline(server, derived_columns={"text": "{question}"})
        with pytest.raises(
            RecipeError,
            match=r"'question', which is not .* known columns are 'id', 'query', 'response'",
        ):
            run_recipe(recipe_over(tmp_path, with_text(embedded_rows), process))
        assert server.requests == []


def test_an_operator_used_without_a_recipe_merges_whatever_there_is(embedded_rows):
    topics = ops.TopicClusterGrouper(num_clusters=3).run(make_dataset(with_text(embedded_rows)))
    merged = ops.LLMPairMergerMapper(merge_strategy="concat", derived_columns={"text": "{query}"}).run(topics)
    assert all(row["text"] for row in merged)


# Rows that Data-Juicer loses before one of our operators.


def chats(rows: list[dict]) -> list[dict]:
    return in_layout("messages", rows)


FAILS_ON_LISTS = {"words_num_filter": {"min_num": 1}}
TOO_STRICT = {"text_length_filter": {"text_key": "id", "min_len": 1_000_000}}


@pytest.mark.parametrize("np", [1, 2])
@pytest.mark.parametrize("first", ["topic_cluster_grouper", "quality_gate_filter", "budget_selector"])
def test_no_row_left_by_an_operator_that_raised_stops_the_run(tmp_path, embedded_rows, np, first):
    if np == 2 and first != "topic_cluster_grouper":
        pytest.skip("the number of processes is that of the other operator")
    own = {"budget_selector": [{first: {"select_num": 3}}], "quality_gate_filter": [pipeline()[-1]]}
    process = [FAILS_ON_LISTS, *own.get(first, pipeline())]
    with pytest.raises(DatasetError, match=f"^{first}: no rows reached this .* after words_num_filter") as caught:
        run_recipe(recipe_over(tmp_path, chats(embedded_rows), process, "messages", np=np))
    sentence = str(caught.value)
    assert "(120 rows before it, 0 after)" in sentence
    assert "words_num_filter raised (" in sentence
    assert "'An error occurred in words_num_filter' in the log /" in sentence
    assert not (tmp_path / "out" / "export.jsonl").exists()


def test_no_row_left_by_a_filter_that_is_too_strict_stops_the_run(tmp_path, embedded_rows):
    process = [{"clean_email_mapper": {"text_key": "id"}}, TOO_STRICT, *pipeline()]
    with pytest.raises(DatasetError, match=r"text_length_filter \(120 rows before it, 0 after\).*filter too strictly"):
        run_recipe(recipe_over(tmp_path, embedded_rows, process, "instruction"))


def test_no_row_left_between_two_operators_of_ours_stops_the_run(tmp_path, embedded_rows):
    process = [*pipeline()[:3], TOO_STRICT, pipeline()[3]]
    process[3] = {"text_length_filter": {"text_key": "output", "min_len": 1_000_000}}
    with pytest.raises(DatasetError, match=r"^quality_gate_filter: no rows reached this .* after text_length_filter"):
        run_recipe(recipe_over(tmp_path, embedded_rows, process, "instruction"))


def test_rows_that_the_loader_has_dropped_stop_the_run(tmp_path, embedded_rows):
    rows = [row | {"text": None} for row in embedded_rows]
    with pytest.raises(DatasetError, match=r"loader dropped all 120 .*text_keys \('text'\)"):
        run_recipe(recipe_over(tmp_path, rows, pipeline(), "text"))


def test_no_row_left_by_one_of_ours_is_what_the_recipe_asks_for(tmp_path, embedded_rows):
    process = [
        {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", "min_score": 1e9}},
        {"budget_selector": {"select_num": 3}},
    ]
    assert read_jsonl(run_recipe(recipe_over(tmp_path, embedded_rows[:5], process, "instruction"))) == []


@pytest.mark.parametrize("np", [1, 2])
def test_an_operator_that_raised_on_some_rows_is_warned_of(tmp_path, embedded_rows, lines, np):
    # A value that is not text makes Data-Juicer drop its whole batch.
    rows = [row | {"note": None if number == 3 else "three short words"} for number, row in enumerate(embedded_rows)]
    noted = {"words_num_filter": {"text_key": "note", "min_num": 1, "batch_size": 10}}
    found = read_jsonl(run_recipe(recipe_over(tmp_path, rows, [noted, *pipeline()[:2], REVERSE], "instruction", np=np)))
    assert found
    (warning,) = [line for line in lines if "words_num_filter raised" in line]
    assert warning.startswith("topic_cluster_grouper: words_num_filter raised 1 time (120 rows before it, 110")
    assert "Data-Juicer drops each batch" in warning


REVERSE = {"topic_reverse_grouper": {}}


def test_a_run_that_stopped_empty_stops_again_when_it_goes_on_from_its_checkpoint(tmp_path, embedded_rows):
    settings = {"use_checkpoint": True, "job_id": "again"}
    recipe = recipe_over(tmp_path, chats(embedded_rows), [FAILS_ON_LISTS, *pipeline()], "messages", **settings)
    for _ in range(2):
        with pytest.raises(DatasetError, match="topic_cluster_grouper: "):
            run_recipe(recipe)


def test_an_operator_of_its_own_takes_an_empty_dataset(embedded_rows):
    empty = make_dataset(embedded_rows[:1]).select([])
    assert len(ops.BudgetSelector(select_num=3).run(empty)) == 0
    assert len(ops.TopicClusterGrouper().run(empty)) == 0


# The rows that the operators of a recipe get.


def test_a_recipe_that_ends_in_topics_is_refused_before_any_operator_runs(tmp_path, embedded_rows):
    process = [{"python_lambda_mapper": {"lambda_str": "lambda row: 1 / 0", "skip_op_error": False}}, *pipeline()[:2]]
    with pytest.raises(RecipeError, match="topic_cluster_grouper: the rows are still topics at the end of the recipe"):
        run_recipe(recipe_over(tmp_path, embedded_rows, process, "instruction"))


def test_analyzing_a_recipe_that_ends_in_topics_is_not_refused(tmp_path, embedded_rows):
    from data_juicer.config import init_configs
    from data_juicer.core import Analyzer

    process = [{"text_length_filter": {"text_key": "output", "min_len": 1}}, *pipeline()[:2]]
    config = init_configs(["--config", str(recipe_over(tmp_path, embedded_rows[:20], process, "instruction"))])
    analyzed = Analyzer(config).run()
    assert isinstance(analyzed, Dataset)
    assert len(analyzed) == 20


ON_LISTS = {
    "filter on the default key": ({"words_num_filter": {"min_num": 1}}, "messages"),
    "filter on its own key": ({"words_num_filter": {"min_num": 1, "text_key": "meta"}}, "meta"),
    "filter inside a column": ({"text_length_filter": {"text_key": "meta.tags"}}, "meta.tags"),
    "mapper": ({"clean_email_mapper": {}}, "messages"),
}


@pytest.mark.parametrize("case", ON_LISTS)
def test_a_text_operator_behind_ours_that_would_read_lists_stops_the_run_before_any_work(tmp_path, embedded_rows, case):
    step, column = ON_LISTS[case]
    rows = [row | {"meta": {"tags": ["a"], "lang": "en"}} for row in chats(embedded_rows[:20])]
    process = [*pipeline(pair_within=["meta"])[:-1], step]
    with pytest.raises(RecipeError, match=rf"^{next(iter(step))}: .*column '{column}', which holds .*column of text"):
        run_recipe(recipe_over(tmp_path, rows, process, "messages", strict_preflight=False))
    assert not (tmp_path / "out" / "export.jsonl").exists()


def test_a_text_operator_behind_ours_may_read_a_column_of_text_beside_the_lists(tmp_path, embedded_rows):
    process = [pipeline()[0], REVERSE, {"words_num_filter": {"min_num": 1, "text_key": "id"}}]
    assert len(read_jsonl(run_recipe(recipe_over(tmp_path, chats(embedded_rows[:20]), process, "messages")))) == 20
