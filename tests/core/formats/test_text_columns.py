"""Layouts with a column for each text: Alpaca's and Data-Juicer's own."""

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Sample
from tests.core.formats.toys import MERGED, ROWS, read


def test_alpaca_reads_its_three_columns_under_other_names():
    layout = resolve_format("auto", ["q", "ctx", "a"], instruction_key="q", query_key="ctx", response_key="a")
    reading = layout.read({"q": "Why?", "ctx": "Because", "a": "So."})
    assert reading.sample == Sample("Why?", "Because", "So.")


def test_alpaca_without_an_input_column_keeps_the_material_in_the_instruction():
    layout = resolve_format("auto", ["instruction", "output"])
    written = layout.write(MERGED, [{"instruction": "a", "output": "b"}])
    assert written == {"instruction": "Do both.\n\nthe text", "output": "Done."}


def test_query_is_the_instruction_where_there_is_no_other():
    layout = resolve_format("auto", ["query", "response"])
    assert layout.read({"query": "Why?", "response": "So."}).sample == Sample("Why?", "", "So.")
    assert layout.write(MERGED, [{"query": "a", "response": "b"}])["query"] == "Do both.\n\nthe text"


def test_a_missing_input_is_an_empty_one():
    layout = resolve_format("auto", ["instruction", "input", "output"])
    assert layout.read({"instruction": "a", "input": None, "output": "b"}).problem is None


@pytest.mark.parametrize("history", [None, [], [["", ""]], [[]], ""])
def test_a_history_of_nothing_is_none(history):
    assert read("alpaca", ROWS["alpaca"] | {"history": history}).problem is None


@pytest.mark.parametrize("name", ["alpaca", "query_response"])
@pytest.mark.parametrize(("system", "text"), [("S ", "S"), ("", ""), (None, "")])
def test_the_column_of_the_system_prompt_keeps_the_parents_value(name, system, text):
    row = ROWS[name] | {"system": system, "history": None}
    layout = resolve_format(name, list(row))
    assert layout.read(row).sample.system == text
    written = layout.write(Sample("c", "", "d", system=text), [row, row])
    assert (written["system"], written["history"]) == (system, None)


def test_a_column_of_nulls_for_the_query_is_left_alone():
    row = {"instruction": "Why?", "query": None, "response": "So."}
    written = resolve_format("query_response", list(row)).write(MERGED, [row, row])
    assert written == {"instruction": "Do both.\n\nthe text", "response": "Done."}


@pytest.mark.parametrize("name", ["alpaca", "query_response"])
@pytest.mark.parametrize("column", ["system", "history", "tools", "images"])
def test_a_column_of_nan_is_one_of_nulls(name, column):
    """So a column without any value comes out of pandas."""
    filled = {"instruction": "Why?", "query": None, "input": None, "output": "So.", "response": "So."}
    row = filled | {column: float("nan")}
    reading = resolve_format(name, list(row)).read(row)
    assert reading == resolve_format(name, list(row)).read(row | {column: None})
    assert reading.problem is None
