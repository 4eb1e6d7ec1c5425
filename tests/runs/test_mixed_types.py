"""Columns whose values have several types, within a file or from file to file: the law holds, and is proved."""

from __future__ import annotations

from pathlib import Path
from typing import Any

import pytest

from mergeit_ops import cli
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe
from tests.runs.listing import listed

TEXTS = [str(number) if number % 2 else f"r{number}" for number in range(24)]
FILES: dict[str, list[list[Any]]] = {
    "numbers and texts": [list(range(24)), TEXTS],
    "numbers and numbers as texts": [list(range(24)), [str(number) for number in range(24)]],
    "whole numbers and fractions": [list(range(24)), [number + 0.5 for number in range(24)]],
    "truth and texts": [[True, False] * 12, TEXTS],
    "objects and texts": [[{"a": number} for number in range(24)], TEXTS],
}
ROWS: dict[str, list[Any]] = {
    "numbers and texts": [1, "x", 2, "3"] * 6,
    "texts of numbers": [1, "2"] * 12,
    "all kinds": [{"a": 1}, "x", [1, {"b": None}], None, 1.5, True] * 4,
    "nested": [{"a": number if number % 2 else str(number)} for number in range(24)],
}


def rows_with(values: list[Any], embedded_rows: list[dict], first: int = 0) -> list[dict]:
    return [row | {"id": value} for row, value in zip(embedded_rows[first:], values, strict=False)]


def verified(tmp_path: Path, data: Path, capsys: Any) -> str:
    process = [
        {"topic_cluster_grouper": {"num_clusters": 4}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat", "similarity_threshold": 0.3}},
    ]
    export = run_recipe(write_recipe(tmp_path, process, data))
    capsys.readouterr()
    code = cli.main(["verify", str(data), str(export)])
    said = "".join(capsys.readouterr())
    assert code == 0, said
    return said


@pytest.mark.parametrize("kind", FILES)
def test_files_are_read_in_the_order_of_the_run(tmp_path, embedded_rows, kind, monkeypatch, capsys):
    data = tmp_path / "in"
    data.mkdir()
    for number, values in enumerate(FILES[kind]):
        write_jsonl(data / f"{number}.jsonl", rows_with(values, embedded_rows, 24 * number))
    # The first decides, and the numbers are not the ones.
    listed(monkeypatch, ["1.jsonl", "0.jsonl"])
    assert "The conservation law holds" in verified(tmp_path, data, capsys)


@pytest.mark.parametrize("kind", ROWS)
def test_rows_of_a_file_may_differ(tmp_path, embedded_rows, kind, capsys):
    data = write_jsonl(tmp_path / "in.jsonl", rows_with(ROWS[kind], embedded_rows))
    assert "The conservation law holds" in verified(tmp_path, data, capsys)
