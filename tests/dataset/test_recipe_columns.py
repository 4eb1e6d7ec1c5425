"""Which columns the rest of a recipe reads."""

from __future__ import annotations

from typing import Any

import pytest

from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.dataset.recipe_columns import column_of, columns_read_after
from mergeit_ops.dataset.recipe_rows import check_rows
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import __all__ as _registered  # noqa: F401

COLUMNS = ["query", "response", "text", "source", "meta", "tags", "images", "image_bytes"]


def recipe(*steps: Any, text_keys: tuple[str, ...] = ("query",)) -> Recipe:
    """A recipe of names, or of pairs of name and parameters; Data-Juicer's defaults are filled in as it does."""
    given = {"text_key": text_keys[0], "image_key": "images", "image_bytes_key": "image_bytes", "work_dir": "w"}
    pairs = [(step, {}) if isinstance(step, str) else step for step in steps]
    return Recipe(
        steps=tuple(Step(name, {**given, **parameters}) for name, parameters in pairs),
        export_path=None,
        text_keys=text_keys,
        executor="default",
    )


READING = [
    # A text operator's own key, Data-Juicer's default key, and keys that Data-Juicer gives to all and nobody reads.
    (("words_num_filter", {"text_key": "text"}), {"text"}),
    (("words_num_filter", {}), set()),
    (("text_length_filter", {"text_key": "meta.lang"}), {"meta"}),
    # Fields, in one text or several, and inside a column.
    (("specified_field_filter", {"field_key": "source"}), {"source"}),
    (("specified_field_filter", {"field_key": "meta.lang"}), {"meta"}),
    (("topk_specified_field_selector", {"field_key": "tags"}), {"tags"}),
    (("budget_selector", {"field_key": "meta.score"}), {"meta"}),
    (("budget_selector", {"field_key": "__dj__stats__.num_words"}), set()),
    (("diversity_selector", {"start": "column", "start_column": "source"}), {"source"}),
    (("llm_analysis_filter", {"input_keys": ["text", "query"]}), {"text"}),
    (("llm_analysis_filter", {"input_keys": ["query"], "field_names": ["Query"]}), set()),
    # Code that mentions a column, and code that only writes it.
    (("python_lambda_mapper", {"lambda_str": "lambda row: {**row, 'n': len(row['text'])}"}), {"text"}),
    (("python_lambda_mapper", {"lambda_str": 'lambda row: {**row, "n": row.get("source")}'}), {"source"}),
    (("python_lambda_mapper", {"lambda_str": "lambda row: {**row, 'text': row['query']}"}), set()),
    (("python_lambda_mapper", {"lambda_str": "lambda text: text"}), set()),
    (("python_lambda_mapper", {"lambda_str": "lambda row: {**row, 'n': row['context']}"}), set()),
    (("python_lambda_mapper", {"lambda_str": "lambda row: {k: v for k, v in row.items() if k != 'text'}"}), {"text"}),
    (("python_lambda_mapper", {"lambda_str": "not python: text"}), {"text"}),
    (("general_field_filter", {"filter_condition": "source == 'x' and __dj__meta__.topic_id > 3"}), {"source"}),
    (("general_field_filter", {"filter_condition": "meta.lang in ['en']"}), {"meta"}),
    (("general_field_filter", {"filter_condition": "__dj__meta__.merge_status != 'merged'"}), set()),
    # Columns of the gate's and of selectors' own parameters.
    (("quality_gate_filter", {"query_key": "query", "response_key": "response"}), set()),
    (("quality_gate_filter", {"instruction_key": "text"}), {"text"}),
    (("an_unknown_filter", {}), set()),
    (("an_unknown_filter", {"source_field": "source"}), {"source"}),
]


@pytest.mark.parametrize(("step", "expected"), READING, ids=lambda value: str(value)[:70])
def test_columns_that_an_operator_behind_the_merger_reads(step, expected):
    read = columns_read_after(recipe("topic_cluster_grouper", "llm_pair_merger_mapper", step), 1, COLUMNS)
    assert set(read) - {"query", "response"} == expected
    assert all(step[0] in reader for column, reader in read.items() if column in expected)


def test_operators_before_the_merger_do_not_count_and_text_keys_always_do():
    steps = [("words_num_filter", {"text_key": "source"}), "topic_cluster_grouper", "llm_pair_merger_mapper"]
    assert columns_read_after(recipe(*steps, text_keys=("text", "meta.lang", "gone")), 2, COLUMNS) == {
        "text": "text_keys of the recipe",
        "meta": "text_keys of the recipe",
    }


@pytest.mark.parametrize(
    ("name", "column"),
    [("text", "text"), ("meta.lang", "meta"), ("a.b", "a.b"), ("a.b.c", "a.b"), ("gone", None), ("gone.x", None)],
)
def test_nested_names_mean_the_column_they_stand_in(name, column):
    assert column_of(name, ["text", "meta", "a.b"]) == column


G, M, Q = "topic_cluster_grouper", "llm_pair_merger_mapper", "quality_gate_filter"
F, R, B = "facility_location_selector", "topic_reverse_grouper", "naive_reverse_grouper"

FINE = [
    (G, F, M, Q),
    (G, F, R),
    (G, M),
    (G, F, B),
    (G, R, G, M, Q),
    (G, M, Q, G, F, M, Q),
    ("sentence_embedding_mapper", G, F, R),
    (F,),
    (Q,),
    (Q, G, F, R, "budget_selector"),
    ("words_num_filter", G, M, Q, "words_num_filter"),
    (G, "nested_aggregator", R),
    (G, "random_selector", M),
    ("naive_grouper", M),
    ("naive_grouper", "naive_reverse_grouper", Q),
    # Part of a recipe that goes on from a checkpoint: its rows may be topics.
    (M, Q),
    (F, R),
    # An operator that nobody here knows may do anything.
    (G, "an_unknown_operator"),
    ("an_unknown_grouper", M, Q),
    ("words_num_filter",),
]


@pytest.mark.parametrize("steps", FINE, ids=" ".join)
def test_recipes_whose_rows_fit(steps):
    assert check_rows(recipe(*steps)) == []


ENDS = [
    ((G,), G),
    ((G, F), G),
    ((G, F, "diversity_selector"), G),
    ((G, "nested_aggregator"), G),
    ((G, M, Q, G), G),
    ((G, R, "naive_grouper"), "naive_grouper"),
    ((Q, "key_value_grouper", F), "key_value_grouper"),
    (("words_num_filter", G, F), G),
]


@pytest.mark.parametrize(("steps", "giver"), ENDS, ids=str)
def test_a_recipe_that_ends_in_topics_is_refused(steps, giver):
    with pytest.raises(RecipeError, match=f"^{giver}: the rows are still topics at the end of the recipe") as caught:
        check_rows(recipe(*steps))
    assert all(cure in str(caught.value) for cure in (M, R, B))


MISPLACED = [
    ((G, Q), Q, "the rows are topics"),
    ((G, F, "budget_selector", R), "budget_selector", "the rows are topics"),
    ((G, G, R), G, "the rows are topics"),
    ((G, "sentence_embedding_mapper", R), "sentence_embedding_mapper", "the rows are topics"),
    ((G, "words_num_filter", M, Q), "words_num_filter", "reads a column of samples"),
    ((G, "clean_email_mapper", F, R), "clean_email_mapper", "reads a column of samples"),
    ((G, "document_deduplicator", M), "document_deduplicator", "reads a column of samples"),
    (("naive_grouper", "text_length_filter", B), "text_length_filter", "reads a column of samples"),
    ((Q, M), M, "put topic_cluster_grouper before it"),
    ((G, M, M), M, "put topic_cluster_grouper before it"),
    ((G, R, R), R, "put topic_cluster_grouper before it"),
    (("sentence_embedding_mapper", M), M, "put topic_cluster_grouper before it"),
]


@pytest.mark.parametrize(("steps", "culprit", "sentence"), MISPLACED, ids=str)
def test_an_operator_that_cannot_work_where_it_stands_is_named(steps, culprit, sentence):
    with pytest.raises(RecipeError, match=f"^{culprit}.*{sentence}"):
        check_rows(recipe(*steps))


@pytest.mark.parametrize("step", ["python_lambda_mapper", "specified_field_filter", "general_field_filter"])
def test_an_operator_that_may_mean_topics_is_warned_of(step):
    (warning,) = check_rows(recipe(G, step, M))
    assert warning.startswith(f"{step} is between {G}")
