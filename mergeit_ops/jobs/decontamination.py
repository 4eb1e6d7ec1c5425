"""Compare the rows of a table with benchmarks."""

from __future__ import annotations

from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import numpy as np
import pyarrow as pa
from datasets import Features
from numpy.typing import NDArray

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.contamination import BOTH, CLEAN, NGRAM, ContaminationBounds, nearest
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.counts import many
from mergeit_ops.core.text.ngram_index import NgramIndex, Overlap, comparable_words
from mergeit_ops.core.vectors import has_text
from mergeit_ops.dataset.benchmark_rows import BenchmarkRow
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import JSON, json_array, python_rows, set_column
from mergeit_ops.errors import EmbeddingError
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.scoring import Scored

__all__ = ["CONTAMINATION", "BenchmarkIndex", "Benchmarks", "DecontaminationJob"]

CONTAMINATION: Mapping[str, pa.DataType] = {
    "contamination_status": pa.string(),
    "contamination_ngram": pa.float64(),
    "contamination_similarity": pa.float64(),
    "contamination_source": pa.string(),
    "contamination_excerpt": pa.string(),
}
"""Keys of the stats."""

_STATUS, _NGRAM, _SIMILARITY, _SOURCE, _EXCERPT = CONTAMINATION
_SHOWN_HITS = 5  # of each table
_EXCERPT_CHARACTERS = 300


@dataclass(frozen=True, eq=False)
class Benchmarks:
    """Benchmarks in the form that is sent to the workers of a cluster.

    :param rows: of them.
    :param vectors: (m, d) float32 of unit norm, vectors of the questions; None if similarity is not compared.
    """

    rows: tuple[BenchmarkRow, ...]
    vectors: NDArray[np.float32] | None

    @classmethod
    def of(cls, rows: Sequence[BenchmarkRow], encoder: EncoderSettings | None) -> Benchmarks:
        """Embed benchmarks.

        :param rows: of them.
        :param encoder: the encoder; None if they are not embedded.
        """
        return cls(tuple(rows), None if encoder is None else encoder.embed(row.question for row in rows))


class BenchmarkIndex:
    """The index with which the rows of a dataset are compared; built once in each process.

    :param benchmarks: the benchmarks.
    :param n: words of an n-gram; None if n-grams are not compared.
    """

    def __init__(self, benchmarks: Benchmarks, n: int | None) -> None:
        self.rows = benchmarks.rows
        self.vectors = benchmarks.vectors
        self.ngrams: NgramIndex | None = None
        if n is not None:
            # Unrelated rows may have the same short answer.
            texts = [
                (number, words)
                for number, row in enumerate(self.rows)
                for words, least in ((comparable_words(row.question), 0), (comparable_words(row.answer), n))
                if len(words) >= least
            ]
            self._row_of = [number for number, _ in texts]
            self.ngrams = NgramIndex([words for _, words in texts], self._row_of, n)

    def source(self, overlap: Overlap) -> BenchmarkRow:
        """Return the benchmark row of an overlap."""
        return self.rows[self._row_of[overlap.text]]

    @property
    def uncovered(self) -> int:
        """Return the number of benchmark rows that no n-gram can find."""
        if self.ngrams is None:
            return 0
        covered = {row for row, found in zip(self._row_of, self.ngrams.is_covered, strict=True) if found}
        return len(self.rows) - len(covered)


@dataclass(frozen=True)
class DecontaminationJob:
    """Adds to the stats of each row how much of a benchmark it contains.

    :param reader: reads the rows.
    :param index: the benchmarks.
    :param bounds: limits above which a row overlaps.
    :param with_excerpts: whether the common words are written to the stats.
    """

    reader: SampleReader
    index: BenchmarkIndex
    bounds: ContaminationBounds
    with_excerpts: bool = True

    def features(self, features: Features) -> Features:
        """See `ScoringJob`."""
        return Features({**features, STATS: JSON})

    def tables(self, tables: Iterable[pa.Table]) -> Iterator[pa.Table]:
        """See `ScoringJob`."""
        return iter(tables)

    @property
    def types(self) -> Mapping[str, pa.DataType]:
        """See `ScoringJob`."""
        return CONTAMINATION

    def run(self, table: pa.Table) -> Scored:
        """See `ScoringJob`.

        :raises EmbeddingError: if the rows bring embeddings of another width than those of the benchmarks.
        """
        # A reasoning trace in a separate field may also contain a benchmark.
        samples = self.reader.samples(table, "response")
        overlaps = self._overlaps(samples)
        similar = self._similar(table)
        found = [self._stats(*evidence) for evidence in zip(overlaps, similar, strict=True)]
        before = [{key: value for key, value in stats.items() if key not in CONTAMINATION} for stats in stats_of(table)]
        stats = [old | new for old, new in zip(before, found, strict=True)]
        marked = set_column(table, STATS, json_array(stats))
        return Scored(marked, self._figures(found), partial(_details, _row_ids(table), samples, found))

    def _overlaps(self, samples: Sequence[Sample]) -> list[Overlap | None]:
        if self.index.ngrams is None:
            return [None] * len(samples)
        return self.index.ngrams.overlaps(
            [[comparable_words(text) for text in (one.system, one.query, one.output)] for one in samples]
        )

    def _similar(self, table: pa.Table) -> list[tuple[BenchmarkRow, float] | None]:
        """Return, for each readable row, the benchmark row with the most similar question, and its cosine."""
        benchmarks = self.index.vectors
        found: list[tuple[BenchmarkRow, float] | None] = [None] * table.num_rows
        if benchmarks is None or not table.num_rows:
            return found
        vectors = self.reader.vectors(table)
        if vectors.shape[1] != benchmarks.shape[1]:
            raise EmbeddingError(
                f"{self.reader.operator}: the rows bring embeddings of width {vectors.shape[1]}, and those of the "
                f"benchmarks have {benchmarks.shape[1]}; set embedding_model to the model of the rows, or "
                "max_similarity to null."
            )
        readable = np.flatnonzero(has_text(vectors))
        positions, cosines = nearest(vectors[readable], benchmarks)
        for row, position, cosine in zip(readable.tolist(), positions.tolist(), cosines.tolist(), strict=True):
            found[row] = self.index.rows[position], cosine
        return found

    def _stats(self, overlap: Overlap | None, similar: tuple[BenchmarkRow, float] | None) -> dict[str, Any]:
        share = None if self.index.ngrams is None else 0.0 if overlap is None else overlap.share
        cosine = None if similar is None else similar[1]
        status = self.bounds.status(share, cosine)
        stats: dict[str, Any] = {_STATUS: status, _NGRAM: share, _SIMILARITY: cosine}
        if status in (NGRAM, BOTH) and overlap is not None:
            stats |= {_SOURCE: self.index.source(overlap).source, _EXCERPT: overlap.excerpt}
        elif status != CLEAN and similar is not None:
            stats |= {_SOURCE: similar[0].source, _EXCERPT: _cut(similar[0].question)}
        if not self.with_excerpts:
            stats.pop(_EXCERPT, None)
        return {key: value for key, value in stats.items() if value is not None}

    def _figures(self, found: Sequence[Mapping[str, Any]]) -> dict[str, Any]:
        hits = [stats for stats in found if stats[_STATUS] != CLEAN]
        by_file = Counter(stats[_SOURCE].rpartition(":")[0] for stats in hits)
        files = len({row.file for row in self.index.rows})
        return {
            "benchmarks": f"{many(len(self.index.rows), 'row')} in {many(files, 'file')}",
            "contaminated": dict(Counter(stats[_STATUS] for stats in hits)),
            "contaminated_by_file": dict(by_file),
        }


def _details(
    ids: Sequence[str | None], samples: Sequence[Sample], found: Sequence[Mapping[str, Any]], stays: Sequence[bool]
) -> dict[str, Any]:
    hits = [
        {**stats, "question": _cut(sample.query), "dropped": not stay}
        for sample, stats, stay in zip(samples, found, stays, strict=True)
        if stats[_STATUS] != CLEAN
    ]
    dropped = [row_id for row_id, stay in zip(ids, stays, strict=True) if row_id and not stay]
    return {"dropped": dropped, "hits": hits[:_SHOWN_HITS]}


def _row_ids(table: pa.Table) -> list[str | None]:
    """Return the ids that rows have after `topic_reverse_grouper` or the merger."""
    if META not in table.column_names:
        return [None] * table.num_rows
    return [(row[META] or {}).get(lineage.ROW_ID) for row in python_rows(table.select([META]))]


def _cut(text: str) -> str:
    words = " ".join(text.split())
    return words if len(words) <= _EXCERPT_CHARACTERS else words[:_EXCERPT_CHARACTERS] + " …"
