"""Drop samples that overlap with your benchmarks."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property
from pathlib import Path
from typing import Any, Optional, Union

from data_juicer.ops.base_op import OPERATORS
from loguru import logger

from mergeit_ops.constraints import PATHS, Number, OneOf
from mergeit_ops.core.columns import STATS
from mergeit_ops.core.contamination import CLEAN, ContaminationBounds
from mergeit_ops.core.rows.identity import content_digest
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.dataset.benchmark_rows import BenchmarkRow, read_benchmarks
from mergeit_ops.distributed import in_ray_worker
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.jobs.decontamination import CONTAMINATION, BenchmarkIndex, Benchmarks, DecontaminationJob
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import EMBEDDING_CONSTRAINTS, SAMPLE_CONSTRAINTS
from mergeit_ops.ops.stats_filter import StatsFilter
from mergeit_ops.worker import worker

OP_NAME = "decontamination_filter"

_STATUS = next(iter(CONTAMINATION))
_DROP = "drop"


@OPERATORS.register_module(OP_NAME)
class DecontaminationFilter(EmbeddingOperator, StatsFilter):
    """Drop samples that overlap with your benchmarks, so that benchmark scores stay meaningful.

    A sample overlaps if its texts share runs of words with a benchmark's question or answer, or if its question means
    nearly the same as a benchmark's question. `__dj__stats__` holds the evidence: `contamination_status` (`clean`,
    `ngram`, `similarity` or `both`), `contamination_ngram` (the highest share of a benchmark text's n-grams that the
    sample contains), `contamination_similarity` (the highest cosine to a benchmark question), `contamination_source`
    (the benchmark's file, and its line or row) and `contamination_excerpt` (the words in common, or the question of the
    benchmark). The record counts the rows. It names the dropped ones if they have ids, as they do after
    `topic_reverse_grouper`. The report shows some of them. A merged row is judged by its own text."""

    records_drops = True
    step = "Compared with benchmarks"
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **EMBEDDING_CONSTRAINTS,
        "ngram": Number(low=1, integer=True),
        "max_ngram_overlap": Number(low=0, high=1, high_open=True, optional=True),
        "max_similarity": Number(low=-1, high=1, high_open=True, optional=True),
        "action": OneOf((_DROP, "mark")),
        # Checked last, so that other mistakes are reported first.
        "paths": PATHS,
    }

    def __init__(
        self,
        paths: Optional[Union[str, list[str]]] = None,
        ngram: int = 13,
        max_ngram_overlap: Optional[float] = 0.0,
        max_similarity: Optional[float] = 0.85,
        action: str = _DROP,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param paths: the benchmarks. A path is a file of samples (JSON Lines, JSON, CSV, TSV or parquet) in any sample
            format or with columns such as `question` and `answer`, a folder of these files, or a file with another
            extension and one question per line. Questions and answers both count.
        :param ngram: words of an n-gram. A question with fewer words, but at least 5, overlaps only if the sample
            contains it as a whole. An answer with fewer words is not compared. Case, punctuation and white space do not
            matter. In scripts without spaces each character is a word. An n-gram that occurs in more than 10 rows of
            the benchmarks belongs to their template and does not count.
        :param max_ngram_overlap: largest share of a benchmark text's n-grams, in [0, 1), that a sample may contain. 0
            allows none; null: n-grams are not compared.
        :param max_similarity: highest cosine, in [-1, 1), between a sample's question and a benchmark question; null:
            meanings are not compared, and nothing is embedded. The default is meant for all-MiniLM-L6-v2.
        :param action: `drop` drops samples that overlap; `mark` keeps them with the evidence in their stats.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if a benchmark cannot be read, or both `max_ngram_overlap` and `max_similarity` are null.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.bounds = ContaminationBounds(max_ngram_overlap, max_similarity)
        if max_ngram_overlap is None and max_similarity is None:
            raise RecipeError(
                f"{self._name}: set max_ngram_overlap or max_similarity; with neither nothing is compared."
            )
        self._paths = [Path(path) for path in ([paths] if isinstance(paths, str) else paths or ())]
        # A worker of Ray may not have the files; the driver sends their contents.
        self._rows: list[BenchmarkRow] | None = None if in_ray_worker() else self._read()

    @property
    def compares_vectors(self) -> bool:
        """See `EmbeddingOperator`."""
        return self.bounds.similarity is not None

    def _read(self) -> list[BenchmarkRow]:
        try:
            rows, blank = read_benchmarks(self._paths, self.file_layout)
        except DatasetError as error:
            raise RecipeError(f"{self._name}: paths cannot be used: {error}.") from error
        if blank:
            logger.warning(
                f"{self._name}: {many(blank, 'row')} of the benchmarks "
                f"{agree(blank, 'has no readable text and is', 'have no readable text and are')} left out."
            )
        return rows

    @classmethod
    def role_in(cls, parameters: Mapping[str, Any]) -> dict[str, Any]:
        """See `SampleOperator`."""
        return super().role_in(parameters) | {"may_drop": parameters.get("action", _DROP) == _DROP}

    def job_for(self, columns: Sequence[str], only_look: bool = False) -> DecontaminationJob:
        """See `StatsFilter`."""
        reader = self.reader_of(columns)
        index = worker.benchmarks.get(self._key, self._index)
        # Data-Juicer's analyzer plots every text among the stats, and this one differs from sample to sample.
        return DecontaminationJob(reader, index, self.bounds, with_excerpts=not only_look)

    def process_single(self, sample: Any) -> bool:
        """Return whether the stats of a sample let it stay."""
        return self.parameters["action"] != _DROP or (sample[STATS] or {}).get(_STATUS, CLEAN) == CLEAN

    @cached_property
    def _key(self) -> str:
        """Return a key that tells this operator's index from others in the same process."""
        if self._driver is not None:
            return str(self._driver[1])
        rows = [vars(row) for row in self._benchmark_rows]
        return content_digest({"rows": rows, "own": repr((self._ngram, self._encoder))})

    @property
    def _ngram(self) -> int | None:
        return None if self.bounds.ngram is None else int(self.parameters["ngram"])

    @property
    def _encoder(self) -> Any:
        return None if self.bounds.similarity is None else self.encoder

    @property
    def _benchmark_rows(self) -> list[BenchmarkRow]:
        if self._rows is None:
            self._rows = self._read()
        return self._rows

    def _index(self) -> BenchmarkIndex:
        if self._driver is not None:
            import ray

            return BenchmarkIndex(ray.get(self._driver[2]), self._ngram)
        return self._told(BenchmarkIndex(Benchmarks.of(self._benchmark_rows, self._encoder), self._ngram))

    def _told(self, index: BenchmarkIndex) -> BenchmarkIndex:
        if index.uncovered:
            number = index.uncovered
            others = "compared by similarity alone" if index.vectors is not None else "not compared at all"
            logger.warning(
                f"{self._name}: {number:,} of {len(index.rows):,} rows of the benchmarks "
                f"{agree(number, 'is', 'are')} too short for n-grams, or {agree(number, 'has', 'have')} only n-grams "
                f"of a template; {agree(number, 'it is', 'they are')} {others}."
            )
        return index

    def _of_driver(self) -> Any:
        """Return the driver's environment and the benchmarks. These are embedded once and sent once."""
        import ray

        benchmarks = Benchmarks.of(self._benchmark_rows, self._encoder)
        self._told(BenchmarkIndex(benchmarks, self._ngram))
        key = self._key
        self._rows = None
        return super()._of_driver(), key, ray.put(benchmarks)

    def _enter_worker(self) -> None:
        if self._driver is not None:
            self._driver[0].apply()
