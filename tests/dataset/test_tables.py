"""Reading rows of a dataset: the same rows as Hugging Face datasets gives, in whatever way they are kept."""

import numpy as np
import pyarrow as pa
import pytest
from datasets import Dataset, Features, Value, concatenate_datasets

from mergeit_ops.dataset import tables
from mergeit_ops.dataset.tables import TEXT, RowReader, TableSink, iter_tables, write_dataset

ROWS = 60


def on_disk(first: int, count: int) -> Dataset:
    memory = Dataset.from_dict({"n": list(range(first, first + count)), "text": [f"row {i}" for i in range(count)]})
    return write_dataset(iter_tables(memory, rows=7), memory.features)


LAYOUTS = {
    "file": lambda: on_disk(0, ROWS),
    "two files": lambda: concatenate_datasets([on_disk(0, 25), on_disk(25, ROWS - 25)]),
    "memory": lambda: Dataset.from_dict({"n": list(range(ROWS)), "text": [""] * ROWS}),
    "filtered": lambda: on_disk(0, 2 * ROWS).filter(lambda row: row["n"] % 3 < 1),
    "all kept": lambda: on_disk(0, ROWS).filter(lambda row: True),
    "shuffled": lambda: on_disk(0, ROWS).shuffle(seed=1),
    "repeated": lambda: on_disk(0, 10).select([3, 3, 1] * 12),
    "none": lambda: on_disk(0, 10).select([]),
}


@pytest.mark.parametrize("held", [0, 2**28])
@pytest.mark.parametrize("layout", LAYOUTS)
def test_rows_are_those_of_the_dataset(layout, held, monkeypatch):
    # With 0 bytes held, pages are handed back after every read while tables still point to them.
    monkeypatch.setattr(tables, "_HELD_BYTES", held)
    dataset = LAYOUTS[layout]()
    expected = list(dataset)
    assert [row for table in list(iter_tables(dataset, rows=8)) for row in table.to_pylist()] == expected
    assert [value for table in iter_tables(dataset, ["n"]) for value in table["n"].to_pylist()] == list(dataset["n"])
    if expected:
        rows = np.random.default_rng(0).integers(0, len(dataset), 40)
        assert RowReader(dataset).take(rows).to_pylist() == [expected[row] for row in rows]


def test_columns_of_a_sink_keep_their_type():
    dataset = on_disk(0, 3)
    assert dataset.features["text"] == TEXT


def test_a_text_that_looks_like_a_number_is_read_in_a_column_of_several_types(tmp_path):
    from datasets import load_dataset

    from mergeit_ops.dataset.tables import iter_tables, python_rows
    from tests.recipe_runs import write_jsonl

    values = ["50.", "a", ["b"], 7, {"c": 1}, "1.2.3", "007", None]
    path = write_jsonl(tmp_path / "in.jsonl", [{"output": value} for value in values])
    dataset = load_dataset("json", data_files=[str(path)], split="train", cache_dir=str(tmp_path / "cache"))
    (table,) = iter_tables(dataset)
    read = [row["output"] for row in python_rows(table)]
    assert [read[0], *read[1:5], read[5], read[7]] == ["50.", "a", ["b"], 7, {"c": 1}, "1.2.3", None]


@pytest.mark.parametrize("at_once", [1, 3, 10_000])
def test_tables_are_written_in_order_whatever_types_an_empty_column_has(at_once, monkeypatch):
    monkeypatch.setattr(tables, "_SMALL_ROWS", at_once)
    sink = TableSink(Features({"n": Value("int64"), "text": TEXT}))
    expected = []
    for n, text in enumerate(["a", None, None, "b", "c", None]):
        kind = pa.null() if text is None and n % 2 else pa.string()
        sink.write(pa.table({"text": pa.array([text], kind), "n": [n], "more": [0]}))
        sink.write(pa.table({"n": pa.array([], pa.int64()), "text": pa.array([], pa.string())}))
        expected.append({"n": n, "text": text})
    assert list(sink.finish()) == expected
