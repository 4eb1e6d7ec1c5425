"""The sets that `evidence.py` trains on: disjoint pools, held-out rows, and the rows that methods choose.

To add a method, add a line to `METHODS`: a recipe of this repository, and the options with which it chooses 300 of
1,500 rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import random
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import REPOSITORY, read_rows
from planted_sets import planted

Row = dict[str, Any]
ROWS = 1_500
HELD_OUT = 200
BROUGHT = ("mergeit_embedding", "__dj__stats__", "__dj__meta__")


@dataclass(frozen=True)
class Method:
    """A way to choose a set: a recipe, and options of `dj-process`."""

    recipe: str
    overrides: Sequence[str] = ()


_BY_SCORE = (
    *("--sample_score_filter.stat", "distilled_quality_score"),
    *("--scored_diversity_selector.score_key", "distilled_quality_score"),
)
METHODS: Mapping[str, Method] = {
    "facility_location": Method("recipes/select_only.yaml"),
    "facility_location_quality": Method("recipes/methods/qdit.yaml"),
    # With MiniLM vectors, no two rows of a pool reach the paper's threshold.
    "deita": Method("recipes/methods/deita.yaml", (*_BY_SCORE, "--scored_diversity_selector.max_similarity", "auto")),
    "longest": Method("benchmarks/data/longest_answers.yaml"),
    "kmeans_farthest": Method(
        "recipes/ablations/kmeans.yaml",
        (
            *("--topic_cluster_grouper.num_clusters", "150"),
            *("--diversity_selector.select_num", "300", "--budget_selector.select_num", "300"),
        ),
    ),
    "k_center": Method("recipes/methods/coreset.yaml", ("--diversity_selector.select_ratio", "0.2")),
    "best_scores": Method(
        "recipes/methods/deita.yaml", (*_BY_SCORE, "--scored_diversity_selector.max_similarity", "1.0")
    ),
    "instag_keywords": Method("recipes/methods/instag.yaml"),
}
"""The methods to judge. Each chooses 300 rows of a pool. A fifth is the default of recipes without a number."""


def split(rows: Iterable[Row], held_out: int, parts: int, most: int) -> tuple[list[Row], list[list[Row]]]:
    """Divide rows into held-out rows and disjoint pools by a hash of their questions, not by their order.

    :param rows: rows; of several with the same question, one is kept.
    :param held_out: number of held-out rows.
    :param parts: number of pools.
    :param most: number of rows of each pool; the remaining rows are not used.
    """
    by_question = {question(row): row for row in rows}
    ordered = [by_question[asked] for asked in sorted(by_question, key=place)]
    kept = ordered[held_out:]
    size = min(most, len(kept) // parts)
    return ordered[:held_out], [kept[number * size : (number + 1) * size] for number in range(parts)]


def question(row: Mapping[str, Any]) -> str:
    """Return the question of a row without case and spacing."""
    return " ".join(f"{row['instruction']} {row.get('input') or ''}".casefold().split())


def place(text: str) -> str:
    """Return a sort key that puts rows into a random order."""
    return hashlib.sha256(text.encode()).hexdigest()


def plain(row: Mapping[str, Any]) -> Row:
    """Return only the texts of a row, so that it is the same in every set."""
    return {name: str(row.get(name) or "").strip() for name in ("instruction", "input", "output")}


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_pool(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows of a pool. Refuse a folder whose pool has other rows, because its chosen sets would not fit."""
    before = path.read_text(encoding="utf-8") if path.exists() else None
    write(path, rows)
    if before is not None and path.read_text(encoding="utf-8") != before:
        path.write_text(before, encoding="utf-8")
        raise SystemExit(f"{path} has other rows, from another file. Name a new folder.")


def write_selections(rows: Path, folder: Path, pools: int, methods: Sequence[str]) -> None:
    """Write held-out rows, pools, and the rows that each method chooses from each pool. Existing files stay.

    :param rows: Alpaca rows.
    :param folder: folder to write to.
    :param pools: number of pools.
    :param methods: names in `METHODS`.
    """
    held_out, parts = split(map(plain, read_rows(rows)), HELD_OUT, pools, ROWS)
    write(folder / "heldout.jsonl", held_out)
    for number, part in enumerate(parts, start=1):
        write_pool(folder / "pools" / f"{number}.jsonl", part)
    for number in range(1, pools + 1):
        prepared = folder / "runs" / "prepared" / f"{number}.jsonl"
        chosen(Method("benchmarks/data/prepare_pool.yaml"), folder / "pools" / f"{number}.jsonl", prepared)
        for name in methods:
            exported = folder / "runs" / name / f"{number}.jsonl"
            chosen(METHODS[name], prepared, exported)
            write(folder / "sets" / name / f"{number}.jsonl", map(plain, read_rows(exported)))


def write_planted(others: Path, selections: Path, folder: Path, pools: int, answer_tokens: int) -> None:
    """Write sets with planted differences, made from the pools of the methods.

    :param others: rows of another kind, in the columns of Alpaca.
    :param selections: folder of `write_selections`, with its pools and held-out rows.
    :param folder: folder to write to.
    :param pools: number of pools.
    :param answer_tokens: answer tokens of a training, for the number of copies.
    """
    off_topic = [plain(row) for row in read_rows(others)]
    write(folder / "heldout.jsonl", read_rows(selections / "heldout.jsonl"))
    for number in range(1, pools + 1):
        pool = [plain(row) for row in read_rows(selections / "pools" / f"{number}.jsonl")]
        write_pool(folder / "pools" / f"{number}.jsonl", pool)
        for name, rows in planted(pool, off_topic, answer_tokens, random.Random(number)).items():
            if name != "swapped_50":  # A control of every experiment.
                write(folder / "sets" / name / f"{number}.jsonl", rows)


def write_merges(rows: Path, others: Path, folder: Path, pools: int) -> None:
    """Write the merges of a release as sets, and its other rows as pools.

    The held-out rows come from another source and were written by people. So they favour neither the model that wrote
    the merges nor the model that wrote the answers of the pool.

    :param rows: rows of the release, with `kind`: `merged` or `original`.
    :param others: rows of the other source.
    :param folder: folder to write to.
    :param pools: number of pools.
    """
    release = read_rows(rows)
    asked = {question(row) for row in release}
    by_kind = {kind: [plain(row) for row in release if row["kind"] == kind] for kind in ("merged", "original")}
    held_out, _ = split((plain(row) for row in read_rows(others) if question(row) not in asked), HELD_OUT, 1, 0)
    write(folder / "heldout.jsonl", held_out)
    parts = {kind: split(own, 0, pools, ROWS)[1] for kind, own in by_kind.items()}
    for number, (merged, original) in enumerate(zip(parts["merged"], parts["original"], strict=True), start=1):
        # A control that shows the effect of length alone.
        longest = sorted(original, key=lambda row: -len(row["output"]))[: min(len(merged), len(original) // 2)]
        write_pool(folder / "pools" / f"{number}.jsonl", original)
        write(folder / "sets" / "merged" / f"{number}.jsonl", merged)
        write(folder / "sets" / "longest" / f"{number}.jsonl", longest)


def chosen(method: Method, pool: Path, export: Path) -> None:
    """Run a recipe on a pool, unless its export exists."""
    if export.exists():
        return
    command = [
        *(str(Path(sys.executable).parent / "dj-process"), "--config", str(REPOSITORY / method.recipe)),
        *("--dataset_path", str(pool.resolve()), "--export_path", str(export.resolve()), *method.overrides),
    ]
    print(f"{method.recipe} on {pool}", file=sys.stderr, flush=True)
    ran = subprocess.run(
        command, env=os.environ | {"PYTHONPATH": str(REPOSITORY)}, capture_output=True, text=True, check=False
    )
    if ran.returncode or not export.exists():
        raise SystemExit(f"{' '.join(command)} failed:\n{(ran.stdout + ran.stderr)[-3000:]}")
