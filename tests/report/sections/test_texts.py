"""Languages and lengths of the rows, before and after."""

from __future__ import annotations

import pytest

from mergeit_ops.report.sections.texts import NOT_CLEAR, build
from tests.report.exports import content, merged, original, restored, surveyed, write_export


def told(section):
    return [(part.name, len(part.answers), part.lengths, dict(part.languages)) for part in section.values["sets"]]


def test_a_merge_is_one_row_after_and_its_parents_are_rows_before(tmp_path):
    parents = [content("One two three.", "Das Wetter ist heute schön."), content("One.", "Yes.")]
    rows = [
        original(0, "x", content("One two.", "The weather is nice today.")),
        merged(0, "a", text=content("One two three four.", "Ja, das Wetter ist heute schön."), parents=parents),
    ]
    section = build(surveyed(write_export(tmp_path / "e.jsonl", rows)))
    # Linear between the sorted lengths: 1, 2, 3 and 1, 5, 5 words before; 2, 4 and 5, 6 words after.
    assert told(section) == [
        ("What entered the merger", 3, pytest.approx([2, 2.9, 5, 5]), {"en": 1, "de": 1, NOT_CLEAR: 1}),
        ("The export", 2, pytest.approx([3, 3.9, 5.5, 5.95]), {"en": 1, "de": 1}),
    ]
    assert sorted(section.values["languages"][:2]) == ["de", "en"]
    assert section.values["languages"][2:] == [NOT_CLEAR]


def test_the_input_is_told_where_it_is_given(tmp_path):
    export = write_export(tmp_path / "e.jsonl", [merged(0, "a", text=content("One two.", "12."))])
    data = write_export(tmp_path / "in.jsonl", [content("One.", "猫が好きです")] * 3)
    assert told(build(surveyed(export, inputs=[data]))) == [
        ("The input", 3, [1, 1, 6, 6], {"ja": 3}),
        ("The export", 1, [2, 2, 1, 1], {NOT_CLEAR: 1}),
    ]


def test_without_merges_only_the_export_is_known(tmp_path):
    rows = [original(0, "x"), *restored(0, "b")]
    ((name, many, _, languages),) = told(build(surveyed(write_export(tmp_path / "e.jsonl", rows))))
    assert (name, many, languages) == ("The export", 3, {NOT_CLEAR: 3})


def test_rows_that_cannot_be_read_have_no_section(tmp_path):
    assert build(surveyed(write_export(tmp_path / "e.jsonl", [original(0, "x", {"other": 1})]))) is None
