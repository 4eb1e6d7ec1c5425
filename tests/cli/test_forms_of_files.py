"""Every command reads every form of file: what it prints does not depend on how the rows are stored."""

from __future__ import annotations

import gzip
import json
import math

import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mergeit_ops.cli import main
from mergeit_ops.core.rows.lossless import encode_row
from tests.report.exports import content, merged, original, write_export

BOM = b"\xef\xbb\xbf"


def lines(rows) -> str:
    return "".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows)


def zstd(data: bytes) -> bytes:
    sink = pa.BufferOutputStream()
    with pa.CompressedOutputStream(sink, "zstd") as stream:
        stream.write(data)
    return sink.getvalue().to_pybytes()


FORMS = {
    "blank.jsonl": lambda rows: ("\n" + lines(rows).replace("\n", "\n\n")).encode(),
    "bom.jsonl": lambda rows: BOM + lines(rows).encode(),
    "crlf.jsonl": lambda rows: lines(rows).replace("\n", "\r\n").encode(),
    "utf16.jsonl": lambda rows: lines(rows).encode("utf-16"),
    "array.json": lambda rows: BOM + json.dumps(rows, ensure_ascii=False, indent=1).encode(),
    "lines.json": lambda rows: lines(rows).encode(),
    "packed.jsonl.gz": lambda rows: gzip.compress(lines(rows).encode()),
    "packed.json.gz": lambda rows: gzip.compress(json.dumps(rows).encode()),
    "packed.jsonl.zst": lambda rows: zstd(lines(rows).encode()),
}
every_form = pytest.mark.parametrize("form", FORMS)


def stored(folder, form, rows):
    folder.mkdir(parents=True, exist_ok=True)
    path = folder / form
    path.write_bytes(FORMS[form](rows))
    return path


PARENTS = [content("First é.", "One."), content("Second.", "Two.")]
ROWS = [original(0, "x", content("Say ü.", "Ü.")), merged(0, "m", parents=PARENTS), original(1, "y")]


def printed(capsys, *arguments) -> str:
    assert main([str(argument) for argument in arguments]) == 0, capsys.readouterr().err
    return capsys.readouterr().out


@every_form
def test_show(tmp_path, capsys, form):
    plain = write_export(tmp_path / "plain" / "export.jsonl", ROWS)
    path = stored(tmp_path / "stored", form, ROWS)
    assert printed(capsys, "show", path) == printed(capsys, "show", plain)


@every_form
def test_check(tmp_path, capsys, form):
    path = stored(tmp_path, form, [content("é", "b"), content("c", "d") | {"output": None}])
    said = printed(capsys, "check", path)
    assert f"{path}: 2 rows, sample format alpaca" in said
    assert "drops 1 row because output is null in it" in said


@every_form
def test_win_score(tmp_path, capsys, form):
    first = [{"id": "é", "score_a": 9, "score_b": 3}, {"id": 2, "score_a": 5, "score_b": 5}]
    plain = [stored(tmp_path / name, "blank.jsonl", first) for name in ("one", "two")]
    paths = [stored(tmp_path / name, form, first) for name in ("three", "four")]
    assert printed(capsys, "win-score", *paths) == printed(capsys, "win-score", *plain)


@every_form
def test_compare_reads_the_same_set(tmp_path, form):
    from mergeit_ops.compare.reading import read_set

    rows = [content("Say é.", "É."), content("Say b.", "B.")]
    found = read_set(stored(tmp_path / "a", form, rows))
    plain = read_set(stored(tmp_path / "b", "lines.json", rows))
    assert (found.samples, found.ids, found.rows) == (plain.samples, plain.ids, 2)


@every_form
def test_the_input_of_verify_and_report_has_the_same_ids(tmp_path, form):
    from mergeit_ops.runs.inputs import read_input

    rows = [content("Say é.", "É."), content("Say b.", "B.\u2028c")]
    found = read_input(stored(tmp_path / "a", form, rows))
    assert found.ids == read_input(stored(tmp_path / "b", "lines.json", rows)).ids
    assert list(found.contents()) == rows


@every_form
def test_the_export_of_verify_report_and_export_sft_has_the_same_rows(tmp_path, form):
    from mergeit_ops.runs import read_run

    run = read_run(stored(tmp_path, form, ROWS))
    assert [row.content["instruction"] for row in run.rows()] == [row["instruction"] for row in ROWS]
    assert [row.parents for row in run.rows() if row.parents] == [tuple(PARENTS)]
    assert encode_row(PARENTS[0])


@every_form
def test_distill_reads_the_same_scores(tmp_path, form):
    from mergeit_ops.scorers.distilled_training import read_scored_rows

    rows = [content(f"é {n}", "a") | {"quality_score": 1 + math.sin(n) ** 2} for n in range(60)]
    assert read_scored_rows(stored(tmp_path / "a", form, rows)) == read_scored_rows(
        stored(tmp_path / "b", "lines.json", rows)
    )


def test_parquet_and_csv_are_read_by_those_that_read_rows(tmp_path, capsys):
    from mergeit_ops.scorers.distilled_training import read_scored_rows

    scores = [{"id": n, "score_a": n % 4 + 1, "score_b": 2} for n in range(8)]
    rows = [content(f"q {n}", "a") | {"quality_score": 2.0} for n in range(60)]
    said, read = set(), []
    for suffix in ("parquet", "csv", "jsonl"):
        paths = []
        for name, table in (("a", scores), ("b", scores), ("rows", rows)):
            path = tmp_path / f"{name}.{suffix}"
            if suffix == "parquet":
                pq.write_table(pa.Table.from_pylist(table), path)
            elif suffix == "jsonl":
                path.write_text(lines(table), encoding="utf-8")
            else:
                text = [",".join(table[0]), *(",".join(map(str, row.values())) for row in table)]
                path.write_text("\r\n".join(text), encoding="utf-8")
            paths.append(path)
        said.add(printed(capsys, "win-score", *paths[:2]))
        read.append(read_scored_rows(paths[2]))
    assert len(said) == 1
    assert read[0] == read[1] == read[2]


@pytest.mark.parametrize(
    "arguments",
    [
        ["show", "FILE"],
        ["check", "FILE"],
        ["win-score", "SCORES", "FILE"],
        ["compare", "FILE", "--scorer", "none"],
        ["verify", "FILE", "EXPORT"],
        ["verify", "EXPORT", "FILE"],
        ["report", "FILE", "--output", "PAGE"],
        ["report", "EXPORT", "--input", "FILE", "--output", "PAGE"],
        ["export-sft", "FILE", "--output", "FOLDER"],
        ["distill", "--scored", "FILE", "--score-key", "output", "--output", "FOLDER"],
    ],
    ids=" ".join,
)
@pytest.mark.parametrize("packed", [False, True], ids=["plain", "gzip"])
def test_a_malformed_line_is_named_by_file_and_number(tmp_path, capsys, arguments, packed):
    rows = [row | {"id": str(number), "score_a": 1, "score_b": 2} for number, row in enumerate(ROWS[:2])]
    bad = lines(rows).encode() + b"\r\n{'instruction': 1}\n"
    if arguments[0] == "distill":
        bad = lines([content("q", "2")] * 2).encode() + b"\r\n{'instruction': 1}\n"
    path = tmp_path / ("bad.jsonl.gz" if packed else "bad.jsonl")
    path.write_bytes(gzip.compress(bad) if packed else bad)
    files = {
        "FILE": path,
        "EXPORT": write_export(tmp_path / "export.jsonl", ROWS),
        "SCORES": stored(tmp_path / "scores", "lines.json", rows),
        "PAGE": tmp_path / "page.html",
        "FOLDER": tmp_path / "folder",
    }
    assert main([str(files.get(argument, argument)) for argument in arguments]) != 0
    said = capsys.readouterr().err
    assert str(path) in said
    assert "line 4" in said
