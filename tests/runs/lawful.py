"""Lawful exports: small real runs of many shapes, and what a mutation of one may hope to hide behind."""

from __future__ import annotations

import json
import random
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.runs.export_files import export_files, read_rows, stats_file
from tests.recipe_runs import copy_of_run, run_recipe_on_ray, write_jsonl, write_recipe

Row = dict[str, Any]


@dataclass(frozen=True)
class Shape:
    """What a run is like.

    :param layout: of its rows.
    :param suffix: of its export.
    :param keep: whether metadata are in the export, or beside it.
    :param gamma: of the gate; None: there is none.
    :param bounded: whether the gate drops rows by their score.
    :param behind: operators behind our last one.
    :param mergers: how many there are, one after the other.
    :param group_size: rows merged into one at most.
    :param copies: rows of the dataset that it has twice.
    :param inexact: whether rows have numbers with a fraction, and integers beside nulls.
    :param dates: whether rows have texts that Data-Juicer's loader, or Ray's, reads as times.
    :param own_ids: whether rows bring ids of their own.
    :param before: operators before ours.
    :param strategy: of the merger.
    :param on_ray: whether Ray runs it.
    """

    layout: str = "alpaca"
    suffix: str = "jsonl"
    keep: bool = True
    gamma: float | None = 1.4
    bounded: bool = False
    behind: tuple[Mapping[str, Any], ...] = ()
    mergers: int = 1
    group_size: int = 2
    copies: int = 0
    inexact: bool = False
    dates: bool = False
    own_ids: bool = False
    before: tuple[Mapping[str, Any], ...] = ()
    strategy: str = "concat"
    on_ray: bool = False


# Spelled so that the merger does not see which column the mapper reads: it bears the null of a merged row.
UPPER = {"python_lambda_mapper": {"lambda_str": "lambda row: {**row, 'sou' 'rce': str(row['sou' 'rce']).upper()}"}}
NO_WEB = {"specified_field_filter": {"field_key": "source", "target_value": ["book", "forum", None]}}

SHAPES = {
    "alpaca": Shape(),
    "no gate": Shape(gamma=None),
    "messages": Shape(layout="messages", suffix="parquet"),
    "messages, metadata beside": Shape(layout="messages", keep=False, inexact=True),
    "sharegpt with a system column": Shape(layout="sharegpt", suffix="json"),
    "query and response, groups": Shape(layout="query_response", group_size=3, gamma=1.2),
    "json, metadata beside": Shape(suffix="json", keep=False),
    "parquet, metadata beside": Shape(suffix="parquet", keep=False, inexact=True),
    "numbers that JSON rounds": Shape(inexact=True),
    "numbers that JSON rounds, changed before": Shape(inexact=True, before=(UPPER,)),
    "dates": Shape(dates=True),
    "dates in json, metadata beside": Shape(dates=True, suffix="json", keep=False, layout="messages"),
    "dates in parquet": Shape(dates=True, suffix="parquet", gamma=None),
    "dates, numbers and ids of its own": Shape(dates=True, inexact=True, own_ids=True),
    "dates, two mergers": Shape(dates=True, mergers=2),
    "ids of its own, changed before": Shape(own_ids=True, before=(UPPER,)),
    "bounds": Shape(bounded=True),
    "a filter behind": Shape(behind=(NO_WEB,)),
    "bounds and a filter behind": Shape(bounded=True, behind=(NO_WEB,), layout="messages"),
    "a filter behind and no gate": Shape(gamma=None, behind=(NO_WEB,)),
    "a mapper behind": Shape(behind=(UPPER,)),
    "two mergers": Shape(mergers=2),
    "two mergers, numbers that JSON rounds": Shape(mergers=2, inexact=True, layout="messages"),
    "copies": Shape(copies=25),
    "nothing merged": Shape(strategy="none"),
    "nothing merged, no gate": Shape(strategy="none", gamma=None, layout="messages"),
    "everything accepted": Shape(gamma=0.1),
    "everything rejected": Shape(gamma=9.0, inexact=True),
}


@dataclass
class Lawful:
    """A run whose export keeps the law.

    :param shape: what it is like.
    :param data: its dataset.
    :param export: its export.
    :param rows: the rows of the export, metadata included.
    """

    shape: Shape
    data: Path
    export: Path
    rows: list[Row] = field(default_factory=list)

    def write(self, rows: Sequence[Row]) -> None:
        """Put other rows in the place of those of the export, in its form."""
        path, *others = export_files(self.export)
        if path.suffix != ".parquet":
            # Parents that a mutation makes rows of their own hold times as such.
            rows = json.loads(json.dumps(rows, default=lambda moment: moment.isoformat()))
        for other in others:
            other.unlink()
        beside = None if self.shape.keep else stats_file(self.export)
        if beside is not None:
            write_jsonl(beside, [{name: row.get(name) for name in (META, STATS)} for row in rows])
            rows = [{name: value for name, value in row.items() if name not in (META, STATS)} for row in rows]
        if path.suffix == ".parquet":
            # As text: there, a row may lack a key that others have.
            rows = [
                {name: json.dumps(value) if name in (META, STATS) else value for name, value in row.items()}
                for row in rows
            ]
            names = dict.fromkeys(name for row in rows for name in row)
            pq.write_table(pa.table({name: [row.get(name) for row in rows] for name in names}), path)
        elif path.suffix == ".json":
            path.write_text(json.dumps(rows), encoding="utf-8")
        else:
            write_jsonl(path, rows)


def run_lawfully(folder: Path, shape: Shape, sample: Sequence[Row], seed: int) -> Lawful:
    """Run a recipe of a shape over a random part of a sample.

    :param folder: of its own.
    :param shape: of the run.
    :param sample: rows to choose from.
    :param seed: of the choice.
    """
    data = write_jsonl(folder / "in.jsonl", _dataset(shape, sample, random.Random(seed)))
    settings = {"keep_stats_in_res_ds": shape.keep, "text_keys": "lang"}
    if shape.on_ray:
        recipe = write_recipe(folder, _process(shape), data, **settings)
        export = run_recipe_on_ray(
            recipe, "--export_path", str(folder / "out" / "export"), "--export_type", shape.suffix
        )
    else:
        export = copy_of_run(folder, _process(shape), data, suffix=shape.suffix, **settings)
    run = Lawful(shape, data, export)
    rows = [row for file in export_files(export) for row in read_rows(file)]
    if not shape.keep:
        beside = stats_file(export)
        assert beside is not None
        rows = [row | more for row, more in zip(rows, read_rows(beside), strict=True)]
    run.rows = rows
    return run


def _process(shape: Shape) -> list[Mapping[str, Any]]:
    merger = {"merge_strategy": shape.strategy, "max_group_size": shape.group_size}
    bounds = {"min_score": 120} if shape.bounded else {}
    scorer = {"scorer": "tests.user_scorers:ByLength", "reference": "max"}
    process: list[Mapping[str, Any]] = [*shape.before]
    for number in range(shape.mergers):
        process += [
            {"topic_cluster_grouper": {"num_clusters": 4}},
            {"facility_location_selector": {"select_ratio": 0.9 if number == 0 else 1.0}},
            # What was merged once is embedded anew, by the model.
            {"llm_pair_merger_mapper": {**merger, "similarity_threshold": 0.25 if number else 0.75}},
        ]
        if shape.gamma is not None:
            process.append({"quality_gate_filter": {**scorer, "gamma": shape.gamma, **bounds}})
    return [*process, *shape.behind]


def _dataset(shape: Shape, sample: Sequence[Row], rng: random.Random) -> list[Row]:
    chosen = rng.sample(list(sample), 70)
    rows = [_row(shape, row, number, rng) for number, row in enumerate(chosen)]
    return [*rows, *rng.sample(rows, shape.copies)]


def _row(shape: Shape, row: Row, number: int, rng: random.Random) -> Row:
    system = "Be brief." if number % 3 == 0 else ""
    asked = f"{row['instruction']}\n\n{row['input']}".strip()
    columns: dict[str, Row] = {
        "alpaca": {name: row[name] for name in ("instruction", "input", "output")},
        "query_response": {"query": asked, "response": row["output"]},
        "messages": {
            "messages": [
                *([{"role": "system", "content": system}] if system else []),
                {"role": "user", "content": asked},
                {"role": "assistant", "content": row["output"]},
            ]
        },
        "sharegpt": {
            "conversations": [{"from": "human", "value": asked}, {"from": "gpt", "value": row["output"]}],
            "system": system,
        },
    }
    more = {
        "lang": "en",
        "source": rng.choice(["web", "book", "forum"]),
        "licence": rng.choice(["mit", None]),
        "tags": rng.choice([["a", "b"], ["a"], []]),
        "note": {"by": "x", "of": rng.choice(["y", None])},
    }
    if shape.inexact:
        more |= {"weight": rng.choice([1 / 3, 0.5, None]), "count": rng.choice([1, 2, None]), "share": 2 / 7}
    if shape.dates:
        day = f"2024-01-{rng.randint(1, 28):02d}"
        more |= {
            "day": day,
            "moment": f"{day}T10:20:30.{rng.randrange(10**6):06d}",
            "seen": rng.choice([day, None]),
            "about": {"since": day, "until": rng.choice([day, None])},
            "days": [day] * rng.randint(1, 2),
        }
    if shape.own_ids:
        more["mergeit_row_id"] = f"row {number}"
    if not shape.copies:
        more["id"] = f"s{number}"
    return {**columns[shape.layout], **more, EMBEDDING: _vector(rng)}


def _vector(rng: random.Random) -> str:
    """Return a vector near one of a few, so that many rows are pairs, without a model."""
    centre = np.eye(8, dtype=np.float32)[rng.randrange(6)]
    noise = np.array([rng.gauss(0, 0.15) for _ in range(8)], dtype=np.float32)
    vector = centre + noise
    return encode_vectors((vector / np.linalg.norm(vector))[None, :])[0]
