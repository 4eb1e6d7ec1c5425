"""What the log says after a merge."""

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.jobs.merge_advice import advise
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.pairing import PairingJob
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader

READER = SampleReader("merger", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))


def said(lines, figures, **pairing):
    advise(MergeJob(READER, PairingJob(READER, 0.5, **pairing)), {"unmergeable": {}, **figures})
    return lines


def test_a_merge_that_found_pairs_needs_no_advice(lines):
    assert said(lines, {"pairs": 1, "rows_in": 9}) == []


@pytest.mark.parametrize("rows", [0, 1])
def test_too_few_rows_for_a_pair_need_none_either(lines, rows):
    assert said(lines, {"pairs": 0, "rows_in": rows}) == []


def test_without_pairs_the_threshold_and_what_rows_must_share_are_named(lines):
    (line,) = said(lines, {"pairs": 0, "rows_in": 9}, within=("lang",))
    assert line.startswith(
        "merger: no two rows of a topic exceed the similarity_threshold 0.5 and share their system prompt and 'lang'"
    )


def test_random_pairs_have_no_threshold(lines):
    (line,) = said(lines, {"pairs": 0, "rows_in": 9}, order="random")
    assert "no topic has two rows that share their system prompt, or merge_ratio asks for too few" in line


def test_rows_that_cannot_be_merged_are_the_first_cause(lines):
    (line,) = said(lines, {"pairs": 0, "rows_in": 9, "unmergeable": {"bad_row": 6, "reasoning": 2}})
    assert "of 9 rows too few can be merged (bad_row 6, reasoning 2)" in line
