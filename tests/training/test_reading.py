"""Reading sets: what asks a held-out question is never trained on, in whatever form it comes."""

from __future__ import annotations

import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.rows.lossless import encode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import DatasetError
from mergeit_ops.training.reading import question_of, read_training_set
from tests.recipe_runs import write_jsonl


def row(instruction, output="yes", **columns):
    return {"instruction": instruction, "input": "", "output": output, **columns}


def merged(instruction, *parents):
    return row(instruction, **{META: {lineage.STATUS: lineage.MERGED, lineage.PARENTS: [*map(encode_row, parents)]}})


HELD_OUT = frozenset({question_of(Sample("Is it held  OUT?", "", ""))})


def test_rows_that_ask_a_held_out_question_are_left_out(tmp_path):
    inner = merged("inner", row("is it held out?"), row("other"))
    found = read_training_set(
        write_jsonl(
            tmp_path / "rows.jsonl",
            [
                row("kept"),
                row("Is it held out?", "another answer"),
                row(" is it  HELD out? "),
                merged("a merge of it", row("x"), row("Is it held out?")),
                merged("a merge of a merge of it", inner, row("y")),
                merged("a merge of others", row("x"), row("y")),
                row("", "no question"),
            ],
        ),
        None,
        HELD_OUT,
    )
    assert [sample.instruction for sample in found.samples] == ["kept", "a merge of others"]
    assert (found.rows, found.asks_held_out, found.without_text) == (7, 4, 1)


def test_ids_are_those_of_the_texts(tmp_path):
    content = [row("a"), row("b"), row("a")]
    found = read_training_set(write_jsonl(tmp_path / "rows.jsonl", content))
    assert found.ids[2] == f"{found.ids[0]}-1"
    turned = read_training_set(write_jsonl(tmp_path / "turned.jsonl", content[::-1]))
    assert turned.digest == found.digest
    fewer = read_training_set(write_jsonl(tmp_path / "fewer.jsonl", content[:2]))
    assert fewer.digest != found.digest


def test_reasoning_traces_stand_before_their_answers(tmp_path):
    turns = [{"role": "user", "content": "q"}, {"role": "assistant", "content": "a", "reasoning_content": "since"}]
    (sample,) = read_training_set(write_jsonl(tmp_path / "rows.jsonl", [{"messages": turns}])).samples
    assert sample.output == "<think>\nsince\n</think>\n\na"


def test_a_file_without_a_row_to_train_on_is_refused(tmp_path):
    path = write_jsonl(tmp_path / "rows.jsonl", [row("Is it held out?"), row("", "")])
    with pytest.raises(DatasetError, match=r"no row can be trained on\. Rows without a question or an answer: 1\. "):
        read_training_set(path, None, HELD_OUT)
