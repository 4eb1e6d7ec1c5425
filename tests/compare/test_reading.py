"""Reading sets: every form of file and sample format, the same row the same id, rows without text counted."""

from __future__ import annotations

import gzip
import json
from pathlib import Path

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mergeit_ops.compare.reading import read_set, short_names
from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.errors import DatasetError
from tests.report.exports import content, original, write_export

ROWS = [content("Say a.", "A."), content("Say b.", "B.", "of it"), content("Say a.", "A.")]


def write(path: Path, rows) -> Path:
    path.parent.mkdir(parents=True, exist_ok=True)
    if path.suffix == ".parquet":
        pq.write_table(pa.Table.from_pylist(rows), path)
    elif path.suffix == ".json":
        path.write_text(json.dumps(rows), encoding="utf-8")
    elif path.suffix == ".csv":
        lines = [",".join(row.values()) for row in rows]
        path.write_text("\n".join([",".join(rows[0]), *lines, ""]), encoding="utf-8")
    else:
        text = "".join(json.dumps(row) + "\n" for row in rows)
        if path.suffix == ".gz":
            path.write_bytes(gzip.compress(text.encode()))
        else:
            path.write_text(text, encoding="utf-8")
    return path


@pytest.mark.parametrize("name", ["a.jsonl", "a.json", "a.parquet", "a.csv", "a.jsonl.gz"])
def test_every_form_of_file_gives_the_same_rows_and_ids(tmp_path, name):
    found = read_set(write(tmp_path / name, ROWS))
    assert found.samples == [Sample("Say a.", "", "A."), Sample("Say b.", "of it", "B."), Sample("Say a.", "", "A.")]
    assert found.ids == read_set(write(tmp_path / "other.jsonl", ROWS)).ids
    # The same texts again are another row.
    assert len(set(found.ids)) == 3
    assert found.ids[2] == f"{found.ids[0]}-1"


def test_a_folder_of_ray_and_shards_are_one_set(tmp_path):
    for number, row in enumerate(ROWS):
        write(tmp_path / "ray" / f"{number}_000000.parquet", [row])
        write(tmp_path / f"export-0{number}-of-03.jsonl", [row])
    assert read_set(tmp_path / "ray").samples == read_set(tmp_path / "export.jsonl").samples
    assert read_set(tmp_path / "ray").rows == 3


def test_a_row_has_one_id_whatever_stands_beside_its_texts(tmp_path):
    chat = {"messages": [{"role": "user", "content": "Say a."}, {"role": "assistant", "content": "A."}]}
    export = write_export(tmp_path / "e.jsonl", [original(0, "x", ROWS[0] | {"source": "s"})])
    ids = read_set(write(tmp_path / "a.jsonl", ROWS[:1])).ids
    assert read_set(export).ids == ids
    assert read_set(write(tmp_path / "m.jsonl", [chat])).ids == ids


def test_rows_without_text_are_counted_and_left_out(tmp_path):
    bad = [
        content("", "A."),
        content("Say a.", ""),
        {"instruction": None, "input": None, "output": "A."},
        {"output": 3},
    ]
    found = read_set(write(tmp_path / "a.jsonl", [*ROWS, *bad]))
    assert (found.rows, found.left_out, len(found.ids)) == (7, 4, 3)
    assert found.without_text == [4, 5, 6, 7]


@pytest.mark.parametrize(
    "row",
    [
        {"messages": [{"role": "user", "content": text} for text in ("Say a.", "Say b.")]},
        {"messages": [{"role": "assistant", "content": text} for text in ("A.", "B.")]},
        {"query": "", "response": "A.", "history": [["", "B."]]},
    ],
)
def test_conversations_that_lack_one_side_are_left_out(tmp_path, row):
    texts = (("user", "Say a."), ("assistant", "A."), ("user", "Say b."), ("assistant", "B."))
    whole = {"messages": [{"role": role, "content": text} for role, text in texts]}
    if "query" in row:
        whole = {"query": "Say b.", "response": "B.", "history": [["Say a.", "A."]]}
    found = read_set(write(tmp_path / "a.jsonl", [whole, row]))
    both = Sample("Say a.\nSay b.", "", "A.\nB.", rounds=(Round("Say a.", "A."), Round("Say b.", "B.")))
    assert (found.rows, found.left_out, found.samples) == (2, 1, [both])


def test_columns_of_other_names(tmp_path):
    path = write(tmp_path / "a.jsonl", [{"ask": "Say a.", "answer": "A."}])
    assert read_set(path, {"instruction_key": "ask", "response_key": "answer"}).samples == [Sample("Say a.", "", "A.")]
    with pytest.raises(DatasetError, match=r"a\.jsonl: no sample format fits; the dataset has the columns 'ask'"):
        read_set(path)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        ([], "has no rows"),
        ([content("Say a.", " ")], "none of its 1 row has both an instruction and a response"),
    ],
)
def test_nothing_to_look_at_is_said_in_a_sentence(tmp_path, rows, sentence):
    with pytest.raises(DatasetError, match=sentence):
        read_set(write(tmp_path / "a.jsonl", rows))


def test_names_are_as_short_as_tells_them_apart():
    assert short_names([Path("/x/a/out.jsonl"), Path("/x/b/out.jsonl")]) == ["a/out.jsonl", "b/out.jsonl"]
    assert short_names([Path("/x/a.jsonl"), Path("/y/b.jsonl"), Path("/x/a.jsonl")]) == [
        "a.jsonl",
        "b.jsonl",
        "a.jsonl",
    ]
