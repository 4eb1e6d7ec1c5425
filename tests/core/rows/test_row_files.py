"""Rows of files against what Data-Juicer's loader makes of the same bytes."""

import gzip
import json

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mergeit_ops.core.rows.row_files import UnreadableFileError, kind_of, rows_of_file

ROWS = [
    {"instruction": "Say é.", "output": "Ω 🙂"},
    {"instruction": "b\u2028c", "output": "d\u0085e\x0bf"},
    {"instruction": "two\nlines", "output": "\ttab, comma"},
]
LINES = "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in ROWS)
ARRAY = json.dumps(ROWS, ensure_ascii=False)
INDENTED = json.dumps(ROWS, ensure_ascii=False, indent=1)
OBJECTS = "\n".join(json.dumps(row, ensure_ascii=False, indent=1) for row in ROWS)
CSV = 'instruction,output\nSay é.,Ω 🙂\n"b\u2028c","d\u0085e\x0bf"\n"two\nlines","\ttab, comma"\n'
BOM = b"\xef\xbb\xbf"


def zstd(content: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(content)
    return sink.getvalue().to_pybytes()


def parquet() -> bytes:
    sink = pa.BufferOutputStream()
    pq.write_table(pa.Table.from_pylist(ROWS), sink)
    return sink.getvalue().to_pybytes()


FILES = {
    "plain.jsonl": LINES.encode(),
    "blank.jsonl": ("\n \n" + LINES.replace("\n", "\n\n \t\n")).encode(),
    "bom.jsonl": BOM + LINES.encode(),
    "crlf.jsonl": LINES.replace("\n", "\r\n").encode(),
    "crlf_bom_blank.jsonl": BOM + ("\n" + LINES + "\n\n").replace("\n", "\r\n").encode(),
    "cr.jsonl": LINES.replace("\n", "\r").encode(),
    "no_end.jsonl": LINES.rstrip("\n").encode(),
    "array.json": ARRAY.encode(),
    "array_bom.json": BOM + ARRAY.encode(),
    "array_indented.json": ("\n\n " + INDENTED + "\n").encode(),
    "array_crlf.json": INDENTED.replace("\n", "\r\n").encode(),
    "array.jsonl": ARRAY.encode(),
    "lines.json": LINES.encode(),
    "objects.json": OBJECTS.encode(),
    "objects.jsonl": OBJECTS.encode(),
    "one_line.jsonl": LINES.replace("\n", " ").encode(),
    "lines.jsonl.gz": gzip.compress(LINES.encode()),
    "bom.jsonl.gz": gzip.compress(BOM + LINES.encode()),
    "array.json.gz": gzip.compress(ARRAY.encode()),
    "lines.jsonl.zst": zstd(LINES.encode()),
    "array.json.zst": zstd(ARRAY.encode()),
    "packed_by_stealth.jsonl": gzip.compress(LINES.encode()),
    "plain.csv": CSV.encode(),
    "bom_crlf.csv": BOM + CSV.replace("\n", "\r\n").encode(),
    "blank.csv": (CSV + "\n\n").encode(),
    "plain.tsv": CSV.replace(",", "\t", 1).replace("é.,Ω", "é.\tΩ").replace('","', '"\t"').encode(),
    "plain.parquet": parquet(),
}
# Read by us alone: the loader reads UTF-8, and packs only of JSON.
MORE_FILES = {
    "utf16.jsonl": LINES.encode("utf-16"),
    "utf16be.jsonl": b"\xfe\xff" + LINES.replace("\n", "\r\n").encode("utf-16-be"),
    "utf16.json": INDENTED.encode("utf-16"),
    "utf16.jsonl.gz": gzip.compress(LINES.encode("utf-16")),
    "utf16.csv": CSV.encode("utf-16"),
    "plain.csv.gz": gzip.compress(CSV.encode()),
}


def written(folder, name, content):
    path = folder / name
    path.write_bytes(content)
    return path


def loaded(path):
    from data_juicer.format.load import load_formatter

    return load_formatter(str(path), text_keys=[]).load_dataset(1, None).to_list()


@pytest.mark.parametrize("name", FILES)
def test_rows_are_those_of_data_juicers_loader(tmp_path, name):
    path = written(tmp_path, name, FILES[name])
    rows = [row for _, row in rows_of_file(path)]
    assert rows == loaded(path)
    # pandas reads a line end inside of quotes as it stands.
    assert [{key: text.replace("\r\n", "\n") for key, text in row.items()} for row in rows] == ROWS


@pytest.mark.parametrize("name", MORE_FILES)
def test_what_the_loader_does_not_read_is_read_too(tmp_path, name):
    assert [row for _, row in rows_of_file(written(tmp_path, name, MORE_FILES[name]))] == ROWS


@pytest.mark.parametrize("text", ["a,b\n1,\n", "a,b\nNA,None\nnull,nan\n", "a,b\nx,1.5\n,2\n"])
def test_missing_values_of_csv_are_those_of_the_loader(tmp_path, text):
    path = written(tmp_path, "in.csv", text.encode())
    rows = [{key: None if value != value else value for key, value in row.items()} for row in loaded(path)]
    assert [row for _, row in rows_of_file(path)] == rows


@pytest.mark.parametrize("content", [b"", b"\n \r\n", BOM, gzip.compress(b"", mtime=0)])
def test_a_file_without_rows_has_none(tmp_path, content):
    assert list(rows_of_file(written(tmp_path, "in.jsonl", content))) == []


GOOD = b'{"a": 1}\n'
BROKEN = {
    "half_an_object.jsonl": (GOOD + b"\r\n" + GOOD + b'{"a": \n' + GOOD, "line 4"),
    "first_line.jsonl": (b'{"a": \n' + GOOD, "line 1"),
    "not_json.jsonl": (GOOD + b"hello\n", "line 2"),
    "bom_inside.jsonl": (GOOD + BOM + GOOD, "line 2"),
    "a_number.jsonl": (GOOD + b"3\n", "line 2"),
    "an_array_line.jsonl": (GOOD + b"[1]\n", "line 2"),
    "null.jsonl": (GOOD + b"null\n", "line 2"),
    "array_cut.json": (b'[{"a": 1},\n{"a": 2},\n{"a"', "line 3"),
    "array_of_numbers.json": (b'[{"a": 1}, 2]', "row 2"),
    "packed.jsonl.gz": (gzip.compress(GOOD + b"}\n"), "line 2"),
    "utf16.jsonl": ((GOOD + b"}\n").decode().encode("utf-16"), "line 2"),
}


@pytest.mark.parametrize("name", BROKEN)
def test_a_row_that_cannot_be_read_has_a_line(tmp_path, name):
    content, where = BROKEN[name]
    with pytest.raises(UnreadableFileError) as error:
        list(rows_of_file(written(tmp_path, name, content)))
    assert error.value.where == where


@pytest.mark.parametrize(
    ("name", "content", "reason"),
    [
        ("latin.jsonl", '{"a": "é"}'.encode("latin-1"), "is not text in UTF-8"),
        ("latin.csv", "a\né\n".encode("latin-1"), "is not text in UTF-8"),
        ("cut.jsonl.gz", gzip.compress(LINES.encode())[:-12], "cannot be unpacked"),
        ("cut.jsonl.zst", zstd(LINES.encode())[:-6], "cannot be unpacked"),
        ("cut.parquet", b"PAR1", "cannot be read as parquet"),
        ("ragged.csv", b"a,b\n1,2\n1,2,3,4\n", "cannot be read as CSV"),
    ],
)
def test_a_file_that_cannot_be_read_is_a_sentence(tmp_path, name, content, reason):
    with pytest.raises(UnreadableFileError, match=reason) as error:
        list(rows_of_file(written(tmp_path, name, content)))
    assert error.value.where == ""


@pytest.mark.parametrize(
    ("name", "kind"),
    [("a.jsonl", "json"), ("a.JSON.GZ", "json"), ("a.tsv.zst", "csv"), ("a.parquet", "parquet"), ("a.txt", None)],
)
def test_the_name_says_the_kind(tmp_path, name, kind):
    assert kind_of(tmp_path / name) == kind
