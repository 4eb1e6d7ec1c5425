"""Scores of rows among all rows: each row gets its own, and rows that cannot be read take no part."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING, STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.tables import python_rows
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.pool_scoring import PoolScoreJob, score_pool
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.scorers.cut_rows import CutRows
from tests.recipe_runs import make_dataset

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))
VECTORS = np.array([[1, 0], [0, 0], [0, 1], [0, 1]], dtype=np.float32)
ROWS = [
    {"instruction": f"row {number}", "output": "abc"[:number], "source": "s", EMBEDDING: text}
    for number, text in enumerate(encode_vectors(VECTORS))
]


class Alike:
    """The number of other rows with the same vector; a row without an answer has no score."""

    measures = {"alike": "alike_score"}
    needs = ("vectors",)

    def __init__(self) -> None:
        self.seen: list[int] = []

    def identity(self) -> dict[str, Any]:
        return {"version": 1}

    def prepare(self, pool: Pool) -> Sequence[Any]:
        self.seen.append(len(pool.vectors))
        return ((pool.vectors @ pool.vectors.T).sum(axis=1) - 1).tolist()

    def score(self, samples: Sequence[Sample], known: Sequence[Any]) -> list[tuple[Score, ...]]:
        return [
            (Score(value) if sample.output else Score.missing("empty_response"),)
            for sample, value in zip(samples, known, strict=True)
        ]

    def warning(self, known: Sequence[Any]) -> str:
        return f"rows without a neighbour: {known.count(0)}" if 0 in known else ""


class Grouped(Alike):
    """The number of rows of the group, whatever their vectors."""

    needs = ("topics",)
    group_key = "source"

    def prepare(self, pool: Pool) -> Sequence[Any]:
        self.seen.append(len(pool.vectors))
        return [int((pool.topics == topic).sum()) for topic in pool.topics]


def job(scorer, brings_embeddings=True):
    return PoolScoreJob(READER, "tests:Alike", scorer, brings_embeddings)


def stats_of(rows):
    return [row[STATS] for row in python_rows(rows.dataset.with_format("arrow")[:])]


def test_each_row_has_its_own_score_and_an_unreadable_one_takes_no_part(lines):
    scorer = Alike()
    scored, figures = score_pool(LocalRows(make_dataset(ROWS)), job(scorer))
    stats = stats_of(scored)
    assert [row["alike_score"] for row in stats] == [None, None, 1, 1]
    assert [row["alike_score_status"] for row in stats] == ["empty_response", "unreadable", "ok", "ok"]
    assert scorer.seen == [3]
    assert len({row["alike_score_made_by"] for row in stats} - {None}) == 1
    assert any("op: rows without a neighbour: 1" in line for line in lines)
    assert figures["rows_in"] == 4


def test_rows_that_were_read_only_in_part_are_on_record_and_said(lines):
    class Cutting(Alike):
        def __init__(self) -> None:
            super().__init__()
            self.cut_rows = CutRows("alike")

        def score(self, samples: Sequence[Sample], known: Sequence[Any]) -> list[tuple[Score, ...]]:
            for sample in samples:
                self.cut_rows.note(len(sample.output) > 1)
            return super().score(samples, known)

    scorer = Cutting()
    for _ in range(2):
        # The second run counts its own rows.
        _, figures = score_pool(LocalRows(make_dataset(ROWS)), job(scorer))
        assert figures["rows_cut"] == 2
    assert len([line for line in lines if line.startswith("alike: 2 of 4 rows did not fit")]) == 2
    assert "rows_cut" not in score_pool(LocalRows(make_dataset(ROWS)), job(Alike()))[1]


def test_without_vectors_rows_are_read_by_their_texts():
    rows = [
        {"instruction": text, "output": "x", "source": source} for text, source in [("a", "s"), ("", "s"), ("b", "t")]
    ]
    scorer = Grouped()
    scored, _ = score_pool(LocalRows(make_dataset(rows)), job(scorer, brings_embeddings=False))
    assert [row["alike_score"] for row in stats_of(scored)] == [1, None, 1]
    assert EMBEDDING not in scored.columns


def test_a_row_keeps_the_embedding_that_it_brings_and_no_other():
    known = [(True, 1.0)] * 4
    table = pa.Table.from_pylist(ROWS)
    assert EMBEDDING in job(Alike()).score(table, known)[0].column_names
    assert EMBEDDING not in job(Alike(), brings_embeddings=False).score(table, known)[0].column_names


def test_a_group_is_named_by_a_column_that_is_there_and_holds_one_value():
    with pytest.raises(
        DatasetError, match=r"^op: there is no column 'source' for the group_key; there are 'instruction'"
    ):
        job(Grouped()).facts(LocalRows(make_dataset([{"instruction": "a", "output": "b"}])))
    with pytest.raises(DatasetError, match=r"^op: the group_key 'source' must hold a text or a number in every row"):
        job(Grouped()).facts(LocalRows(make_dataset([{"instruction": "a", "output": "b", "source": ["x"]}])))


def test_a_model_is_named_in_the_step_that_runs_it():
    class Modelled(Alike):
        model_step = "prepare"
        device = "cpu"

    with_model = job(Modelled())
    assert with_model.model_in("score") is None
    assert with_model.model_in("prepare").device == "cpu"
    assert job(Alike()).model_in("prepare") is None


def test_what_made_a_score_is_another_with_another_view_or_encoder():
    def made_by(**changes):
        fields = {"reader": READER, "name": "n", "scorer": Alike(), "brings_embeddings": True} | changes
        table, _ = PoolScoreJob(**fields).score(pa.Table.from_pylist(ROWS[2:3]), [(True, 1.0)])
        return python_rows(table)[0][STATS]["alike_score_made_by"]

    other = SampleReader("op", READER.layout, EncoderSettings("another"))
    assert len({made_by(), made_by(view="response"), made_by(reader=other), made_by(name="m")}) == 4
    assert made_by() == made_by()
