"""The operators' pages and the table of operators agree with docstrings and operators."""

from __future__ import annotations

import re

import pytest
from jsonargparse import ArgumentParser

from scripts import operator_examples, operator_pages, parameter_tables
from tests.conftest import REPOSITORY

OPERATORS = parameter_tables.operators()
every_operator = pytest.mark.parametrize("name", OPERATORS)

_FRACTION = re.compile(r"\b\d+\.\d+\b")


@every_operator
def test_a_page_is_what_docstrings_and_operators_say(name):
    """If this fails, run `make docs`. Scores and cosines may differ in the last digit between machines."""
    written = (operator_pages.PAGES / f"{name}.md").read_text(encoding="utf-8")
    made = operator_pages.page(name)
    assert _FRACTION.sub("#", written) == _FRACTION.sub("#", made)
    numbers = [[float(number) for number in _FRACTION.findall(text)] for text in (written, made)]
    assert numbers[0] == pytest.approx(numbers[1], abs=0.02)


def test_there_are_no_pages_of_other_operators():
    assert (
        {path.stem for path in operator_pages.PAGES.glob("*.md")} == set(OPERATORS) == set(operator_examples.EXAMPLES)
    )


def test_the_table_of_all_operators_is_that_of_the_docstrings():
    text = operator_pages.INDEX.read_text(encoding="utf-8")
    assert operator_pages.index(text) == text
    assert [name for name in OPERATORS if f"(operators/{name}.md)" not in text] == []


@every_operator
def test_every_parameter_says_what_it_may_be(name):
    made = OPERATORS[name]
    assert {parameter for parameter, _, _ in parameter_tables.described(made)} == set(made._constraints)


@every_operator
def test_the_command_line_knows_and_explains_every_parameter(name):
    """This includes parameters of base classes, which `dj-process` reads from the source."""
    operator = OPERATORS[name]
    parser = ArgumentParser(exit_on_error=False)
    parser.add_class_arguments(operator, nested_key=name, fail_untyped=False, instantiate=False)
    helps = {action.dest: action.help for action in parser._actions}
    for parameter, _, meaning in parameter_tables.described(operator):
        told = " ".join((helps[f"{name}.{parameter}"] or "").split()).replace("%%", "%")
        assert told.startswith(meaning[:40].replace(r"\|", "|")), parameter
    assert f"{name}.accelerator" in helps


def test_the_readme_leads_to_every_page():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    assert [name for name in OPERATORS if f"(docs/operators/{name}.md)" not in text] == []


def test_examples_show_what_their_words_say():
    """The explanations are written by hand, so this checks the facts that they state."""

    def run(name: str, number: int) -> operator_examples.Shown:
        return operator_examples.run(name, operator_examples.EXAMPLES[name][number])

    grouped = run("topic_cluster_grouper", 0)
    assert sorted(row["id"] for row in grouped.after) == [["a1", "a2", "a3"], ["b1", "b2", "b3"]]
    flat = [row["id"] for row in run("facility_location_selector", 0).after]
    assert sorted(chosen[0] for chosen in flat) == ["a", "b"]
    assert len(run("budget_selector", 0).after) == 3
    assert [row["id"] for row in run("budget_selector", 1).after] == ["a1", "a3"]
    assert sorted(row["id"][0][0] for row in run("diversity_selector", 1).after) == ["a", "b"]
    assert [row["id"] for row in run("scored_diversity_selector", 0).after] == ["a1", "b1", "b3"]
    assert [row["id"] for row in run("scored_diversity_selector", 1).after] == ["a2", "a3"]
    parts = {row["id"]: row["__dj__stats__"]["lcg_part"] for row in run("low_confidence_selector", 0).after}
    assert parts == {"a1": "near", "b1": "near", "b3": "low_confidence"}
    assert [row["id"] for row in run("semantic_deduplicator", 0).after] == ["a1", "a3", "b1", "b3"]
    difficulty = [row["__dj__stats__"] for row in run("sample_score_filter", 1).after]
    reasons = [stats["ifd_status"] for stats in difficulty]
    assert reasons == ["ok", "ok", "instruction_too_long"]
    assert [row["id"] for row in run("sample_score_filter", 0).after] == ["b1", "b3"]
    assert {row["id"] for row in run("topic_reverse_grouper", 0).after} == {"a1", "a2", "a3", "b1", "b2", "b3"}
    for number in (0, 1):
        merged, alone = run("llm_pair_merger_mapper", number).after
        assert (merged["id"], alone["id"]) == (None, "a3")
    statuses = [row["__dj__meta__"]["merge_status"] for row in run("quality_gate_filter", 0).after]
    assert sorted(statuses) == ["merged", "restored", "restored"]
    kept = run("quality_gate_filter", 1)
    assert 0 < len(kept.after) < len(kept.before)
