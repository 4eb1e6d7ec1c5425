"""Decide merge by merge: keep it, or give its parents back. Also a plain quality filter."""

from __future__ import annotations

import os
import platform
from collections import Counter
from collections.abc import Iterable, Iterator, Mapping, Sequence
from typing import TYPE_CHECKING, Any, Optional

import numpy as np
import pyarrow as pa
from data_juicer.ops.base_op import OPERATORS
from datasets import Dataset, Features
from loguru import logger
from tqdm import tqdm

from mergeit_ops.constraints import FLAG, MAPPING, TEXT, Number, OneOf
from mergeit_ops.core.columns import BATCH_META, META, STATS
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.gate.comparison import Bounds, Comparison, MergeComparison, RowComparison
from mergeit_ops.core.gate.rule import REFERENCES, GateRule
from mergeit_ops.core.rows import lineage
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.gate_record import GateRecord
from mergeit_ops.dataset.gate_table import (
    MergedRow,
    Verdict,
    gated_table,
    merged_rows,
    metadata_of,
    whole_topics,
)
from mergeit_ops.dataset.manifest import log_summary
from mergeit_ops.dataset.tables import JSON, READ_ROWS, inexact_columns, iter_tables, python_rows, write_dataset
from mergeit_ops.dataset.topics import is_grouped
from mergeit_ops.distributed import in_ray_worker
from mergeit_ops.errors import DatasetError, LLMError, MergeItError, RecipeError, ScorerError
from mergeit_ops.ops.embedding_operator import EmbeddingOperator
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.sample_operator import (
    EMBEDDING_CONSTRAINTS,
    SAMPLE_CONSTRAINTS,
)
from mergeit_ops.ops.score_filter import ScoreFilter
from mergeit_ops.scorers import PayingScorer, ReportingScorer, Score, Scorer, build_scorer, compared_scores

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

OP_NAME = "quality_gate_filter"

_scorers: dict[str, Scorer] = {}
"""Scorers of this process, on Ray, by the ledger of their gate."""

_Part = tuple[pa.Table, list[dict[str, Any]]]  # rows and their metadata


@OPERATORS.register_module(OP_NAME)
class QualityGateFilter(EmbeddingOperator, ScoreFilter):
    """Keep a merged sample only if its quality passes a gate; else give its parents back.

    A merge passes when its score exceeds gamma times its parents' reference score (MergeIT, equation 9). With
    `min_score` or `max_score` it also filters every sample by its own score, so the same operator serves as a plain
    quality filter before the grouper. It judges every merged row it meets, those of an earlier run too. Scores and the
    figures of each decision go to `__dj__stats__`."""

    gives_ids = True
    kind = "gate"
    records_drops = True
    step = "Gated"
    _constraints = {
        **SAMPLE_CONSTRAINTS,
        **EMBEDDING_CONSTRAINTS,
        "scorer": TEXT,
        "scorer_params": MAPPING,
        "gamma": Number(low=0, low_open=True),
        "strict": FLAG,
        "reference": OneOf(REFERENCES),
        "min_score": Number(optional=True),
        "max_score": Number(optional=True),
        "min_parent_coverage": Number(low=0, high=1, optional=True),
        "score_all": FLAG,
    }

    def __init__(
        self,
        scorer: str = "distilled",
        scorer_params: Optional[dict[str, Any]] = None,
        gamma: float = 0.75,
        strict: bool = True,
        reference: str = "mean",
        min_score: Optional[float] = None,
        max_score: Optional[float] = None,
        min_parent_coverage: Optional[float] = None,
        score_all: bool = False,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        Merges and their parents are scored; every other sample only when `min_score`, `max_score` or `score_all` asks
        for it. A merge without a score, or with a parent without one, is not accepted. A sample without a score is
        never dropped by `min_score` or `max_score`: a failed scoring is not a low score.

        :param scorer: `distilled`: a small regressor to the Deita quality score, on the CPU; `deita`: the published
            Deita scorer itself, a local Hugging Face model of 7B parameters; `deita_api`: the same behind an
            OpenAI-compatible server; `llm_judge`: a language model with a rubric; `cascade`: a cheap scorer, and a
            judge for close calls; or the import path `package.module:Class` of a scorer of one's own.
        :param scorer_params: keyword arguments of the scorer. A key never stands here: it comes from the environment
            variable OPENAI_API_KEY.
        :param gamma: share of the parents' reference score, above 0, that a merge must reach. Paper: 0.75; released
            code: 1.0.
        :param strict: whether a merge that reaches it exactly fails.
        :param reference: the parents' scores as one: `mean`, `max` or `min`.
        :param min_score: lowest score that any sample may have, those without a score apart; null: no such filter.
        :param max_score: highest score that any sample may have, those without a score apart; null: no such filter.
        :param min_parent_coverage: how much of each parent, in [0, 1], a merge must keep: of its instruction, its input
            and its answer, each as the share of its words that the merge has; null: no such condition.
            `merge_parent_coverage` in the stats holds the figure of every merge.
        :param score_all: whether every sample is scored, whatever the other parameters.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.rule = GateRule(float(gamma), strict, reference, min_parent_coverage)  # type: ignore[arg-type]
        self.score_all = score_all or self.is_bounded
        try:
            # Without `accelerator`, a scorer's own choice of device holds: large models take a GPU where there is one.
            accelerator = kwargs.get("accelerator")
            asked = {} if accelerator is None else {"device": self.device, "accelerator": accelerator}
            self._scorer = build_scorer(scorer, scorer_params, **asked)
            # The driver has checked this; a Ray worker that builds the operator again may not be able to.
            if not in_ray_worker():
                for engine in _engines(self._scorer):
                    engine.check()
        except (RecipeError, ScorerError, LLMError) as error:
            raise type(error)(f"{self._name}: {error}") from error

    def run(self, dataset: Dataset, *, exporter: Any = None, tracer: Any = None, reduce: bool = True) -> Dataset:
        """Score, decide, restore and filter.

        :param dataset: flat samples.
        :param exporter: Data-Juicer's exporter, for `stats_export_path`.
        :param tracer: Data-Juicer's tracer: samples dropped by `min_score` and `max_score` are traced.
        :param reduce: whether to filter; `dj-analyze` only looks at the stats.
        :return: flat samples.
        :raises DatasetError: if a column is missing, or the rows are topics.
        :raises LLMError: if a scorer that asks a language model had to stop.
        :raises ScorerError: if the scorer fails or breaks its contract.
        """
        only_look = self.process is None  # how Data-Juicer's analyzer says that it wants stats and no filtering
        if is_grouped(dataset.features):
            if only_look:
                return dataset
            self.check_flat(grouped=True)
        if not only_look:
            self.check_arrival(len(dataset))
        layout = self.layout_of(dataset.column_names)
        features = Features({**dataset.features, **({META: JSON} if META in dataset.features else {}), STATS: JSON})
        counts: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        record = GateRecord()
        with self.recorded() as manifest:
            try:
                tables = _with_progress(whole_topics(iter_tables(dataset)), len(dataset))
                gated = write_dataset(
                    (self._gate(*part, layout, counts, rejected, record) for part in tables), features
                )
                self._finish_scoring()
                if exporter is not None and self.stats_export_path is not None:
                    exporter.export_compute_stats(gated, self.stats_export_path)
                filtered = gated if only_look or not reduce else self._filter(gated, record, tracer)
                manifest.figures |= {"rows_in": len(dataset), "rows_out": len(filtered), **counts}
                manifest.details |= record.details()
                manifest.figures |= {"rejected": dict(rejected), "filtered_out": len(gated) - len(filtered)}
            finally:
                # Also if the run had to stop, so that its cost is recorded.
                manifest.figures |= self._scoring_figures()
        if counts["unscored"]:
            logger.warning(
                f"{self._name}: {counts['unscored']} rows could not be scored and are kept; quality_status says why."
            )
        log_summary(self.work_dir)
        return filtered

    def of_driver(self) -> Any:
        """Return the driver's environment, and the journals and token budgets that it keeps."""
        from mergeit_ops.distributed.blocks import Resources
        from mergeit_ops.distributed.budget import share_budgets
        from mergeit_ops.distributed.journal import keep_journals

        engines = _engines(self._scorer)
        places = sum(engine.settings.max_concurrency for engine in engines if engine.asks_a_server)
        if places:
            tasks = Resources.of(self).at_once()
            logger.info(
                f"{self._name}: its scorer runs in up to {tasks} tasks at a time, each with up to {places} requests in "
                f"flight: the server sees up to {tasks * places}. To lower this number, set num_proc of the operator "
                "(tasks at a time) or max_concurrency in scorer_params (requests of each task)."
            )
        return super().of_driver(), keep_journals(), share_budgets(engines)

    def score_block(self, block: pa.Table) -> pa.Table:
        """Score and decide a batch of rows on Ray, where rows have no order to go back to."""
        from mergeit_ops.distributed.ledger import stops_reported

        with stops_reported(self._ledger):
            return self._score_block(block)

    def _score_block(self, block: pa.Table) -> pa.Table:
        from mergeit_ops.distributed.budget import spend_from
        from mergeit_ops.distributed.columns import with_json, with_structs, without_others_stats
        from mergeit_ops.distributed.journal import use_kept_journals
        from mergeit_ops.distributed.ledger import batch_name, report

        self.check_flat(grouped=BATCH_META in block.column_names)
        if self._ledger is not None:
            # Each task has its own operator, so the process keeps the scorer with its model and answers.
            self._scorer = _scorers.setdefault(self._ledger, self._scorer)
        if self._driver is not None:
            environment, journals, budgets = self._driver
            environment.apply()
            use_kept_journals(journals)
            spend_from(budgets, _engines(self._scorer))
        for engine in _engines(self._scorer):
            engine.alone = False
        counts: Counter[str] = Counter()
        rejected: Counter[str] = Counter()
        table = without_others_stats(with_json(block))
        layout = self.layout_of(table.column_names)
        record = GateRecord()
        try:
            decided = self._gate(table, metadata_of(table), layout, counts, rejected, record)
        finally:
            # Also if the run had to stop, so that its cost is recorded.
            if scoring := self._scoring_figures():
                report(self._ledger, f"process {platform.node()} {os.getpid()}", scoring)
        gated = with_structs(decided, table.schema)
        stays = [self.process_single(row) for row in python_rows(gated.select([STATS]))]
        record.filtered(stays)
        figures = {"rows_in": table.num_rows, "rows_out": sum(stays), "filtered_out": stays.count(False)}
        report(self._ledger, batch_name(table), {**figures, **counts, "rejected": dict(rejected)}, record.details())
        return gated

    def compute_stats_batched(self, samples: Any, *args: Any, **kwargs: Any) -> Any:
        """Score and decide one batch, in Data-Juicer's form of a dict of lists; restored parents add rows."""
        dataset = Dataset.from_dict(dict(samples))
        return self.run(dataset, reduce=False).to_dict()

    def process_single(self, sample: Any) -> bool:
        """Return whether a sample stays, from its stats."""
        return self._keeps((sample[STATS] or {}).get(lineage.QUALITY_SCORE))

    def _keeps(self, score: float | None) -> bool:
        if score is None or not self.is_bounded:
            return True
        return bool(self.get_keep_boolean(score, self.min_score, self.max_score))

    def _filter(self, gated: Dataset, record: GateRecord, tracer: Any) -> Dataset:
        stays = self.rows_that_stay(gated, tracer)
        record.filtered(stays)
        return gated.select(np.flatnonzero(stays)) if self.is_bounded else gated

    def _gate(
        self,
        table: pa.Table,
        metas: Sequence[Mapping[str, Any]],
        layout: SampleFormat,
        counts: Counter[str],
        rejected: Counter[str],
        record: GateRecord,
    ) -> pa.Table:
        try:
            merges = merged_rows(table, metas, layout)
        except DatasetError as error:
            raise DatasetError(f"{self._name}: {error}.") from error
        bounds = Bounds(self.min_score, self.max_score)
        questions = self._merge_comparisons(merges, bounds)
        plain = self._plain_samples(table, layout, {merge.position for merge in merges}) if self.score_all else {}
        comparisons: list[Comparison] = [*questions, *(RowComparison(sample, bounds) for sample in plain.values())]
        scores = self._scores(comparisons)
        verdicts = {
            merge.position: (merge, _verdict(merge, question, found))
            for merge, question, found in zip(merges, questions, scores, strict=False)
        }
        for _, verdict in verdicts.values():
            reason = verdict.decision.rejected
            counts["accepted" if reason is None else "restored_rows"] += (
                1 if reason is None else len(verdict.parent_scores)
            )
            if reason is not None:
                rejected[reason] += 1
        counts["unscored"] += len(_unscored(comparisons, scores))
        plain_scores = {position: score for position, (score,) in zip(plain, scores[len(merges) :], strict=True)}
        try:
            gated, after, rebuilt = gated_table(table, metas, verdicts, plain_scores, layout, self._embedding_texts)
        except DatasetError as error:
            raise DatasetError(f"{self._name}: {error}.") from error
        record.gated(metas, after, verdicts.values(), rebuilt, layout, inexact_columns(table.schema))
        return gated

    def _plain_samples(self, table: pa.Table, layout: SampleFormat, merged: set[int]) -> dict[int, Sample]:
        readings = self.reader(layout).readings(table)
        return {position: reading.sample for position, reading in enumerate(readings) if position not in merged}

    def _scores(self, comparisons: Sequence[Comparison]) -> list[list[Score]]:
        try:
            return compared_scores(self._scorer, comparisons)
        except MergeItError as error:
            raise type(error)(f"{self._name}: {error}") from error

    def _finish_scoring(self) -> None:
        if isinstance(self._scorer, ReportingScorer):
            try:
                self._scorer.finish()
            except MergeItError as error:
                raise type(error)(f"{self._name}: {error}") from error

    def _scoring_figures(self) -> dict[str, Any]:
        figures = dict(self._scorer.figures()) if isinstance(self._scorer, ReportingScorer) else {}
        return {"scoring": figures} if figures else {}

    def _merge_comparisons(self, merges: Sequence[MergedRow], bounds: Bounds) -> list[MergeComparison]:
        return [
            MergeComparison(merge.candidates, merge.parents, merge.coverages, self.rule, bounds) for merge in merges
        ]

    def _embedding_texts(self, samples: Sequence[Sample]) -> list[str]:
        return encode_vectors(self.encoder.embed(sample.query for sample in samples))


def _engines(scorer: Scorer) -> Sequence[LLMEngine]:
    return scorer.engines() if isinstance(scorer, PayingScorer) else ()


def _unscored(comparisons: Iterable[Comparison], scores: Iterable[Sequence[Score]]) -> set[Sample]:
    return {
        sample
        for comparison, found in zip(comparisons, scores, strict=True)
        for sample, score in zip(comparison.samples, found, strict=True)
        if score.value is None
    }


def _verdict(merge: MergedRow, question: MergeComparison, scores: Sequence[Score]) -> Verdict:
    answers = len(question.candidates)
    decision = question.decide([score.value for score in scores])
    return Verdict(decision, scores[:answers], scores[answers:], merge.kept)


def _with_progress(parts: Iterable[_Part], rows: int) -> Iterator[_Part]:
    """Yield parts under a progress bar that counts their rows, as Data-Juicer's own operators show one."""
    with tqdm(total=rows, desc=OP_NAME, unit=" examples", disable=rows <= READ_ROWS) as bar:
        for part in parts:
            yield part
            bar.update(part[0].num_rows)
