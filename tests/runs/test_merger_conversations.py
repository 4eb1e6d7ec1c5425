"""Accepted merges of a finished run as the conversations that asked for them."""

import pytest

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.merging.conversations import CONVERSATIONS
from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.rows.lineage import lineage, quality_stats
from mergeit_ops.core.rows.lossless import encode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.runs import read_run
from mergeit_ops.runs.merger_conversations import LeftOut, merger_conversations
from tests.report.exports import content, write_export

PARENTS = [content("Name a fish.", "A pike."), content("Name a bird.", "A wren.")]
CONVERSATION = CONVERSATIONS["llm"]["worked"]
PROMPT = CONVERSATION.messages([Sample(row["instruction"], row["input"], row["output"]) for row in PARENTS])
MERGED = content("Name a fish and a bird.", "A pike and a wren.")


def merge(sent=None, ratio=1.5, parents=PARENTS, row=MERGED):
    own = lineage(
        topic_id=3,
        row_id="m",
        row_order=0,
        status="merged",
        parents=[encode_row(parent) for parent in parents],
        parent_ids=["a", "b"],
        model="a-model",
        prompt_sha256=sent,
    )
    return row | {META: own, STATS: quality_stats(ratio=ratio)}


def conversations(tmp_path, *rows, **options):
    return list(merger_conversations(read_run(write_export(tmp_path / "out.jsonl", rows)), **options))


def test_the_prompt_that_was_sent_is_proved_by_its_hash(tmp_path):
    (found,) = conversations(tmp_path, merge(prompt_sha256(PROMPT)))
    assert (found.row_id, found.topic_id, found.model, found.proved) == ("m", 3, "a-model", True)
    assert found.prompt == PROMPT
    assert CONVERSATION.read(found.answer, [Sample("a", "", "b")] * 2).instruction == MERGED["instruction"]
    assert found.messages == (*PROMPT, {"role": "assistant", "content": found.answer})


@pytest.mark.parametrize(
    ("row", "options", "why"),
    [
        (merge(), {}, LeftOut.NO_MODEL),
        (merge("another"), {}, LeftOut.OTHER_PROMPT),
        (merge("another", parents=PARENTS[:1]), {}, LeftOut.CHANGED),
        (merge("another", row=PARENTS[0]), {}, LeftOut.CHANGED),
        (merge(prompt_sha256(PROMPT), ratio=1.0), {"min_ratio": 1.2}, LeftOut.LOW_RATIO),
        (merge(prompt_sha256(PROMPT), ratio=None), {"min_ratio": 1.2}, LeftOut.NO_RATIO),
    ],
)
def test_a_merge_that_gives_no_conversation_says_why(tmp_path, row, options, why):
    assert conversations(tmp_path, row, **options) == [why]


def test_another_prompt_is_taken_where_that_is_asked_for(tmp_path):
    (found,) = conversations(tmp_path, merge("another"), any_prompt=True)
    assert not found.proved


def test_rows_that_are_no_merges_give_nothing(tmp_path):
    original = content("a") | {META: lineage(topic_id=0, row_id="a", row_order=0), STATS: quality_stats()}
    assert conversations(tmp_path, original) == []
