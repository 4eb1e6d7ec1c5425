"""Tagging rows."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.taggers.base import ReadyTagger, Tagger
from mergeit_ops.jobs.tagging import tag_figures, tag_rows
from tests.recipe_runs import make_dataset

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))


@dataclass(frozen=True)
class Words(Tagger, ReadyTagger):
    """Every word is a tag."""

    def ready(self, rows, reader):
        return self

    def tags(self, samples):
        return [sample.instruction.split() for sample in samples]


def tagged(*instructions):
    rows = [{"instruction": text, "output": "x"} for text in instructions]
    return tag_rows(LocalRows(make_dataset(rows)), READER, Words(), "tags")


def test_each_row_gets_its_tags_and_they_are_counted(lines):
    rows, figures = tagged("two words", "one", "", "three more words")
    assert rows.dataset["tags"] == [["two", "words"], ["one"], [], ["three", "more", "words"]]
    assert figures == {"rows_in": 4, "rows_out": 4, "untagged": 1, "mean_tags": 1.5, "unreadable": 1}
    assert "op: 1 of 4 rows has no text" in lines[0]


def test_rows_most_of_which_cannot_be_read_are_refused():
    with pytest.raises(DatasetError, match="op: 2 of 3 rows have no text"):
        tagged("", "a", " ")


@pytest.mark.parametrize(
    ("counts", "figures"),
    [({}, (0, 0.0)), ({0: 2}, (2, 0.0)), ({0: 1, 1: 1, 3: 1}, (1, 1.3333))],
)
def test_figures_are_those_of_the_counts(counts, figures):
    assert tag_figures(Counter(counts)) == {"untagged": figures[0], "mean_tags": figures[1]}
