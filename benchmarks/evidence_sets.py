"""The sets that `evidence.py` trains on: pools of rows that share none, held-out rows, and what methods choose.

To add a method, add a line to `METHODS`: a recipe of this repository, and what it overrides to choose 300 of 1,500
rows.
"""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys
from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import Any

from common import REPOSITORY, read_rows

Row = dict[str, Any]
ROWS = 1_500
HELD_OUT = 200
BROUGHT = ("mergeit_embedding", "__dj__stats__", "__dj__meta__")


@dataclass(frozen=True)
class Method:
    """How a set is chosen: a recipe, and the options of `dj-process` that it is run with."""

    recipe: str
    overrides: Sequence[str] = ()


_BY_SCORE = (
    *("--sample_score_filter.stat", "distilled_quality_score"),
    *("--scored_diversity_selector.score_key", "distilled_quality_score"),
)
METHODS: Mapping[str, Method] = {
    "facility_location": Method("recipes/select_only.yaml"),
    "facility_location_quality": Method("recipes/methods/qdit.yaml"),
    # Of vectors of MiniLM, no two rows of a pool are above the bound of the paper.
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
"""What is judged. Each chooses 300 rows of a pool: a fifth is the default of the recipes that name no number."""


def split(rows: Iterable[Row], held_out: int, parts: int, most: int) -> tuple[list[Row], list[list[Row]]]:
    """Return held-out rows and disjoint parts, by a hash of what rows ask: their order in the file does not count.

    :param rows: rows that ask the same are kept once.
    :param held_out: how many are held out.
    :param parts: how many pools.
    :param most: rows of a pool; what is left over is not used.
    """
    by_question = {question(row): row for row in rows}
    ordered = [by_question[asked] for asked in sorted(by_question, key=place)]
    kept = ordered[held_out:]
    size = min(most, len(kept) // parts)
    return ordered[:held_out], [kept[number * size : (number + 1) * size] for number in range(parts)]


def question(row: Mapping[str, Any]) -> str:
    """Return what a row asks, without case and spacing."""
    return " ".join(f"{row['instruction']} {row.get('input') or ''}".casefold().split())


def place(text: str) -> str:
    """Return a text that orders rows at random."""
    return hashlib.sha256(text.encode()).hexdigest()


def plain(row: Mapping[str, Any]) -> Row:
    """Return the texts of a row, so that a row is the same in every set."""
    return {name: str(row.get(name) or "").strip() for name in ("instruction", "input", "output")}


def write(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write rows as JSON Lines."""
    path.parent.mkdir(parents=True, exist_ok=True)
    path.write_text("".join(json.dumps(row, ensure_ascii=False) + "\n" for row in rows), encoding="utf-8")


def write_pool(path: Path, rows: Iterable[Mapping[str, Any]]) -> None:
    """Write the rows of a pool; what was chosen of other rows would not fit them."""
    before = path.read_text(encoding="utf-8") if path.exists() else None
    write(path, rows)
    if before is not None and path.read_text(encoding="utf-8") != before:
        path.write_text(before, encoding="utf-8")
        raise SystemExit(f"{path} has other rows: it was made of another file. Name a new folder.")


def write_selections(rows: Path, folder: Path, pools: int, methods: Sequence[str]) -> None:
    """Write held-out rows, pools, and what each method chooses of each pool; what is there stays.

    :param rows: Alpaca rows.
    :param folder: to write to.
    :param pools: how many.
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


def write_merges(rows: Path, others: Path, folder: Path, pools: int) -> None:
    """Write the merges of a release, and as pools the rows of the release that are no merges.

    Held out are rows of another source: rows that people have written, so that neither the model that wrote the merges
    nor the one that wrote the answers of the pool is at home in them.

    :param rows: of the release, with `kind`: `merged` or `original`.
    :param others: rows of the other source.
    :param folder: to write to.
    :param pools: how many.
    """
    release = read_rows(rows)
    asked = {question(row) for row in release}
    by_kind = {kind: [plain(row) for row in release if row["kind"] == kind] for kind in ("merged", "original")}
    held_out, _ = split((plain(row) for row in read_rows(others) if question(row) not in asked), HELD_OUT, 1, 0)
    write(folder / "heldout.jsonl", held_out)
    parts = {kind: split(own, 0, pools, ROWS)[1] for kind, own in by_kind.items()}
    for number, (merged, original) in enumerate(zip(parts["merged"], parts["original"], strict=True), start=1):
        # What length alone does.
        longest = sorted(original, key=lambda row: -len(row["output"]))[: min(len(merged), len(original) // 2)]
        write_pool(folder / "pools" / f"{number}.jsonl", original)
        write(folder / "sets" / "merged" / f"{number}.jsonl", merged)
        write(folder / "sets" / "longest" / f"{number}.jsonl", longest)


def chosen(method: Method, pool: Path, export: Path) -> None:
    """Run a recipe on a pool, where its export is not there yet."""
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
