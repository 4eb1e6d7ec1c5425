"""Columns that merged rows are given anew."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mergeit_ops import ops
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.errors import RecipeError

QUERY_RESPONSE = {
    "query": pa.string(),
    "response": pa.string(),
    "text": pa.string(),
    "more": pa.large_string(),
    "n": pa.int64(),
    "tags": pa.list_(pa.string()),
}
CHAT = {"messages": pa.list_(pa.struct({"role": pa.string(), "content": pa.string()})), "text": pa.string()}


def derived(types: dict, **templates: str) -> DerivedColumns:
    columns = DerivedColumns.parse(templates)
    columns.check(types, resolve_format("auto", list(types)))
    return columns


@pytest.mark.parametrize(
    ("parameter", "sentence"),
    [
        ({"text": "{query"}, "cannot be used"),
        ({"text": "{query.upper}"}, "more than the name"),
        ({"text": "{query!r:>3}"}, "more than the name"),
        ({"text": "{}"}, "names no column"),
        ({"text": 3}, "both texts"),
        ({"text": None}, "both texts"),
        ({"": "{query}"}, "both texts"),
        ({"__dj__meta__": "{query}"}, "not a column of samples"),
        ({"mergeit_embedding": "{query}"}, "not a column of samples"),
        ({"text": "{more}", "more": "{query}"}, "itself a derived column"),
        ({"text": "{text}"}, "itself a derived column"),
    ],
)
def test_a_parameter_that_cannot_work_is_refused_when_the_operator_is_built(parameter, sentence):
    with pytest.raises(RecipeError, match=f"llm_pair_merger_mapper: derived_columns .*{sentence}"):
        ops.LLMPairMergerMapper(merge_strategy="concat", derived_columns=parameter)


@pytest.mark.parametrize(
    ("types", "templates", "sentence"),
    [
        (
            QUERY_RESPONSE,
            {"text": "{question}"},
            "not a known column; the known columns are 'query', 'response'",
        ),
        (QUERY_RESPONSE, {"text": "{output}"}, "which is not a known column"),
        (QUERY_RESPONSE, {"gone": "{query}"}, "'gone', which the dataset lacks; it has 'query'"),
        (QUERY_RESPONSE, {"n": "{query}"}, "type int64; it must be a column of text"),
        (QUERY_RESPONSE, {"tags": "{query}"}, "it must be a column of text"),
        (QUERY_RESPONSE, {"response": "{query}"}, "which the operator itself writes"),
        (
            CHAT,
            {"text": "{query}"},
            "known columns are 'messages', 'text', 'instruction', 'input', 'output', 'system'",
        ),
    ],
)
def test_columns_are_compared_with_those_of_the_dataset(types, templates, sentence):
    with pytest.raises(ValueError, match=sentence):
        derived(types, **templates)


def test_values_come_from_the_merged_row():
    row = {"query": "Q", "response": "R", "text": None, "more": None, "n": 3, "tags": ["ä"]}
    columns = derived(QUERY_RESPONSE, text="{query}\n{response}", more="{n} {tags} {{x}}")
    layout = resolve_format("auto", list(row))
    assert columns.values(row, Sample("Q", "", "R"), layout) == {"text": "Q\nR", "more": '3 ["ä"] {x}'}


def test_parts_of_a_merged_conversation_have_names():
    columns = derived(CHAT | {"system": pa.string()}, text="{system}|{instruction}|{input}|{output}")
    layout = resolve_format("auto", ["messages", "text", "system"])
    row = {"messages": [], "text": None, "system": None}
    assert columns.values(row, Sample("I", "M", "O", "S"), layout) == {"text": "S|I|M|O"}
