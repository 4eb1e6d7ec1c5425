"""Have a language model write new texts into rows; each row keeps its original content."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Features

from mergeit_ops.core.columns import META, ROW_ID, is_carried
from mergeit_ops.core.formats import Reading
from mergeit_ops.core.rewriting.chains import Chain, ChainCall, RewriteMethod
from mergeit_ops.core.rows import rewrites
from mergeit_ops.core.rows.identity import content_digest, sample_digest
from mergeit_ops.core.rows.lossless import UnencodableError, encode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.manifest import Manifest, added_up
from mergeit_ops.dataset.merge_table import merged_row
from mergeit_ops.dataset.metadata import metas_of
from mergeit_ops.dataset.tables import JSON, arrow_array, json_array, loses_nanoseconds, python_rows, set_column
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs.asking import EngineJob
from mergeit_ops.jobs.chains import ChainEnd, RunningChains
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.tagging import check_readable
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest, completion_cap

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["RewriteJob", "RewriteReport", "rewrite_rows"]

_LOCAL_RESPONSE = 1_024  # tokens

UNCHANGED = "unchanged"
"""The model returned the row unchanged."""


@dataclass(frozen=True)
class _Outcome:
    """The outcome of a sample.

    :param new: its new texts; None if it stays as it was.
    :param error: why it stays as it was.
    :param prompt: hash of the first prompt.
    :param model: name of the model that answered, if it is not the one that was asked; otherwise None.
    :param failed: whether a call failed. If not, there was no call, or it changed nothing.
    """

    new: Sample | None = None
    error: str | None = None
    prompt: str = ""
    failed: bool = False
    model: str | None = None


@dataclass
class RewriteReport:
    """The report about a table.

    :param rewritten: number of rows with new texts.
    :param failed: number of rows whose calls gave no usable result, by reason.
    :param kept: number of rows that were not asked about, or returned unchanged, by reason.
    :param rewrites: maps the id of each rewritten row to the hash of its new content and the hash of its texts.
    """

    rewritten: int = 0
    failed: Counter[str] = field(default_factory=Counter)
    kept: Counter[str] = field(default_factory=Counter)
    rewrites: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class RewriteJob(EngineJob):
    """Writes new texts into rows; see `AskingJob`.

    The columns of the layout get new values; all other columns of the user stay. A row whose rewriting fails stays as
    it was. Stats, embeddings and hashes are removed from all rows, because they describe the old texts.

    :param reader: reader of the rows, whose layout also writes them.
    :param engine: asks the model.
    :param method: what to ask for.
    :param derived: columns to fill on rewritten rows.
    :param dry_run: whether calls are only counted, and rows are passed on as they are.
    :param may_use_gpu: whether a local model may use a GPU.
    """

    reader: SampleReader
    engine: LLMEngine
    method: RewriteMethod
    derived: DerivedColumns = field(default_factory=DerivedColumns)
    dry_run: bool = False
    may_use_gpu: bool = True
    plan: dict[str, Any] = field(default_factory=dict)

    @property
    def operator(self) -> str:
        """See `AskingJob`."""
        return self.reader.operator

    def features(self, features: Features) -> Features:
        """Return the columns and types of the resulting rows.

        :param features: columns and types of the input rows.
        """
        if self.dry_run:
            return features
        return Features({**{name: features[name] for name in features if _is_kept(name)}, META: JSON})

    def ask(self, table: pa.Table, own: None = None) -> tuple[pa.Table, RewriteReport]:
        """Return rows with their new texts; see `AskingJob`."""
        columns = [name for name in table.column_names if _is_kept(name)]
        rows = python_rows(table.select(columns))
        metas = metas_of(table)
        readings = self.reader.readings(table)
        coarse = any(loses_nanoseconds(table.schema.field(name).type) for name in columns)
        parents = [None if coarse else _as_text(row, meta) for row, meta in zip(rows, metas, strict=True)]
        outcomes = self._outcomes(readings, parents)
        report = RewriteReport()
        for outcome in outcomes:
            if outcome.error is not None:
                (report.failed if outcome.failed else report.kept)[outcome.error] += 1
        if self.dry_run:
            return table, report
        at, made, new_metas = [], [], []
        for number, (row, meta, parent, outcome) in enumerate(zip(rows, metas, parents, outcomes, strict=True)):
            if outcome.new is None or parent is None:
                new_metas.append(rewrites.kept(meta, outcome.error))
                continue
            new = merged_row(self.reader.layout, outcome.new, [row])
            new |= self.derived.values(new, outcome.new, self.reader.layout)
            parent_id = rewrites.id_of(row, meta)
            at.append(number)
            made.append(new)
            new_metas.append(
                rewrites.rewritten(
                    meta,
                    parent=parent,
                    parent_id=parent_id,
                    method=self.method.name,
                    model=outcome.model or self.engine.model,
                    prompt_sha256=outcome.prompt,
                    nodes_added=self.method.nodes_added,
                )
            )
            texts = self.reader.layout.read(new).sample
            report.rewrites[parent_id] = [content_digest(new), sample_digest(texts)]
        report.rewritten = len(made)
        return set_column(_replaced(table.select(columns), at, made), META, json_array(new_metas)), report

    def _outcomes(self, readings: Sequence[Reading], parents: Sequence[str | None]) -> list[_Outcome]:
        # Ask about rows with equal texts only once, even without a journal.
        chains: dict[Sample, Chain] = {}
        found: list[_Outcome | None] = []
        for reading, parent in zip(readings, parents, strict=True):
            problem = reading.problem or ("unencodable" if parent is None else self.method.problem(reading.sample))
            found.append(None if problem is None else _Outcome(error=problem))
            if problem is None and reading.sample not in chains:
                chains[reading.sample] = self.method.chain(reading.sample)
        running = RunningChains(chains)
        if self.dry_run:
            self._plan(running)
        elif chains:
            self._ask(running, len(chains))
        return [
            self._outcome(reading.sample, running.ends[reading.sample]) if outcome is None else outcome
            for reading, outcome in zip(readings, found, strict=True)
        ]

    def _outcome(self, sample: Sample, end: ChainEnd) -> _Outcome:
        if end.new is None:
            return _Outcome(error=end.error, failed=True)
        if self.dry_run:
            return _Outcome()
        return (
            _Outcome(error=UNCHANGED)
            if end.new == sample
            else _Outcome(end.new, prompt=end.prompt_sha256, model=end.answered_by)
        )

    def _ask(self, chains: RunningChains, number: int) -> None:
        """Ask the questions of chains.

        :param chains: chains that have not started.
        :param number: number of chains.
        """
        asked = number

        def settle(outcome: LLMOutcome[Any]) -> LLMRequest[Any] | None:
            nonlocal asked
            question = chains.next_question(outcome)
            if question is None:
                return None
            asked += 1
            # Immediately, so that few chains are half paid for if the budget ends or the run is killed.
            return self._request(outcome.tag, question)

        requests = (self._request(sample, question) for sample, question in chains.first_questions())
        self.engine.run(requests, settle, total=lambda: asked, more_to_come=True)

    def _plan(self, chains: RunningChains) -> None:
        """Count the questions of chains: the first of each, then the second, and so on."""
        questions = dict(chains.first_questions())
        while questions:
            # Answers that are not in the journal are unknown.
            found = {sample: LLMOutcome(sample, (question.expected,)) for sample, question in questions.items()}

            def settle(outcome: LLMOutcome[Any], found: dict[Sample, LLMOutcome[Any]] = found) -> None:
                found[outcome.tag] = outcome

            requests = [self._request(sample, question) for sample, question in questions.items()]
            self.plan = added_up([self.plan, self.engine.plan(requests, settle)])
            following = ((sample, chains.next_question(outcome)) for sample, outcome in found.items())
            questions = {sample: question for sample, question in following if question is not None}

    def _request(self, sample: Sample, question: ChainCall) -> LLMRequest[Any]:
        # By default, a local model stops when its text is as long as its prompt. That suits a text made from the
        # prompt, but not the response to a short request.
        is_short = question.schema is None and not self.engine.asks_a_server
        says = completion_cap(self.engine.backend_factory.sampling_params) is not None
        return LLMRequest(
            tag=sample,
            messages=question.messages,
            parse=question.parse,
            schema=question.schema,
            completion_tokens=question.completion_tokens,
            max_tokens=_LOCAL_RESPONSE if is_short and not says else None,
        )


def rewrite_rows(rows: Rows, job: RewriteJob, manifest: Manifest) -> Rows:
    """Have a model rewrite the rows of a dataset.

    :param rows: flat rows.
    :param job: job that rewrites the rows.
    :param manifest: gets the figures and details, even if the work had to stop.
    :return: the same number of rows, in the same order.
    :raises RecipeError: if derived columns cannot be made; before any call.
    :raises DatasetError: if most rows cannot be read; before any call.
    :raises LLMError: see `Rows.asked`.
    """
    try:
        job.derived.check(rows.types, job.reader.layout)
    except ValueError as error:
        raise RecipeError(f"{job.operator}: derived_columns {error}. No call was made.") from error
    readable = check_readable(rows, job.reader)
    manifest.figures |= {"rows_in": len(rows), **readable.figures()}
    manifest.details |= {"model": job.engine.model}
    made, told = rows.asked(job, manifest, features=job.features)
    failed = sum((report.failed for report in told), Counter[str]())
    kept = sum((report.kept for report in told), Counter[str]())
    manifest.figures |= {
        "rows_out": len(made),
        "rewritten": sum(report.rewritten for report in told),
        "failed": dict(sorted(failed.items())),
        "kept": dict(sorted(kept.items())),
    }
    manifest.details["rewrites"] = {old: new for report in told for old, new in report.rewrites.items()}
    return made


def _is_kept(column: str) -> bool:
    return is_carried(column) or column == ROW_ID


def _as_text(row: Mapping[str, Any], meta: Mapping[str, Any]) -> str | None:
    """Return a row as text; None if it has no lossless text form."""
    try:
        return encode_row({**row, **({META: meta} if meta else {})})
    except UnencodableError:
        return None


def _replaced(table: pa.Table, at: Sequence[int], made: Sequence[Mapping[str, Any]]) -> pa.Table:
    """Return a table with some rows replaced. The others are not converted, so that they stay exactly as they are.

    :param table: the rows.
    :param at: ascending positions of the rows to replace.
    :param made: the new rows.
    """
    if not at:
        return table
    types = {field.name: field.type for field in table.schema}
    arrays = {name: arrow_array([row[name] for row in made], kind) for name, kind in types.items()}
    instead = dict(zip(at, range(table.num_rows, table.num_rows + len(at)), strict=True))
    both = pa.concat_tables([table, pa.table(arrays, schema=table.schema)])
    return both.take(pa.array([instead.get(number, number) for number in range(table.num_rows)], pa.int64()))
