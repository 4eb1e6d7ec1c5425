"""Reading a run for a page."""

from __future__ import annotations

import pytest

from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.errors import DatasetError
from tests.report.exports import original, surveyed, write_export, write_records


@pytest.mark.parametrize(
    ("name", "text", "message"),
    [
        ("none.jsonl", None, "There is no file or folder"),
        ("data.txt", "a\n", "expected one or more files"),
        ("broken.jsonl", '{"instruction"', "line 1, is not a JSON object"),
        ("odd.jsonl", '{"a": 1}\n', "no sample format fits"),
    ],
)
def test_an_input_that_cannot_be_read_is_an_error(tmp_path, name, text, message):
    export = write_export(tmp_path / "e.jsonl", [original(0, "a")])
    if text is not None:
        (tmp_path / name).write_text(text)
    with pytest.raises(DatasetError, match=f"--input: .*{message}"):
        surveyed(export, inputs=[tmp_path / name])


@pytest.mark.parametrize(
    ("named", "expected"),
    [("static", DEFAULT_EMBEDDING_MODEL), ("owner/a", "owner/a"), (None, DEFAULT_EMBEDDING_MODEL)],
)
def test_a_run_is_measured_by_its_model_and_one_with_static_token_vectors_by_the_default(tmp_path, named, expected):
    parameters = {} if named is None else {"embedding_model": named}
    export = write_export(tmp_path / "e.jsonl", [original(0, "a")])
    write_records(tmp_path, {"operator": "topic_cluster_grouper", "parameters": parameters})
    assert surveyed(export).model == expected
