"""Have a language model turn the texts of rows into samples."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Features
from loguru import logger

from mergeit_ops.core.backtranslation.bounds import BAD_ROW, TextBounds
from mergeit_ops.core.backtranslation.method import BacktranslationMethod
from mergeit_ops.core.columns import META, ROW_ID, is_carried
from mergeit_ops.core.formats import SampleFormat
from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.rows import rewrites, sources
from mergeit_ops.core.rows.identity import content_digest, sample_digest
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.dataset.manifest import Manifest, added_up
from mergeit_ops.dataset.metadata import metas_of
from mergeit_ops.dataset.tables import JSON, TEXT, arrow_array, json_array, python_columns, python_rows, set_column
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.asking import EngineJob
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["DRY_RUN", "BacktranslationJob", "BacktranslationReport", "backtranslate_rows"]

DRY_RUN = "dry_run"
"""Status of a row for which a call would be made."""

_NOTHING = Sample("", "", "")


@dataclass(frozen=True)
class _Made:
    """The outcome of a row.

    :param status: `ok`, or why there is no sample.
    :param sample: the sample; its texts are empty if there is none.
    :param prompt: hash of the conversation; None if there was none.
    :param model: name of the model that answered, if it is not the one that was asked; otherwise None.
    """

    status: str
    sample: Sample = _NOTHING
    prompt: str | None = None
    model: str | None = None

    @property
    def texts(self) -> tuple[str, str, str]:
        """Instruction, input and output."""
        return self.sample.instruction, self.sample.input, self.sample.output


@dataclass
class BacktranslationReport:
    """The report about a table.

    :param statuses: number of rows by status, including dropped rows.
    :param dropped: number of rows that were dropped.
    :param rewrites: maps the id of each original row to the hash of its new content and the hash of its texts.
    """

    statuses: Counter[str] = field(default_factory=Counter)
    dropped: int = 0
    rewrites: dict[str, list[str]] = field(default_factory=dict)


@dataclass
class BacktranslationJob(EngineJob):
    """Turns the texts of rows into samples; see `AskingJob`.

    The column of the text moves to the metadata, and the columns of the layout follow the columns that stay. Stats,
    embeddings and hashes are removed, because they describe other texts.

    :param operator: registry name of the operator.
    :param engine: asks the model.
    :param method: what to ask for.
    :param text_key: column that holds the texts.
    :param bounds: bounds of the texts to ask about.
    :param layout: layout that writes the samples.
    :param written: columns of instruction, input and output.
    :param drops: whether rows without a sample are dropped.
    :param dry_run: whether calls are only counted. No row gets a sample, and none is dropped.
    :param may_use_gpu: whether a local model may use a GPU.
    """

    operator: str
    engine: LLMEngine
    method: BacktranslationMethod
    text_key: str
    bounds: TextBounds
    layout: SampleFormat
    written: tuple[str, str, str]
    drops: bool = False
    dry_run: bool = False
    may_use_gpu: bool = True
    plan: dict[str, Any] = field(default_factory=dict)

    def features(self, features: Features) -> Features:
        """Return the columns and types of the resulting rows.

        :param features: columns and types of the input rows.
        """
        kept = {name: features[name] for name in features if self._is_kept(name)}
        return Features({**kept, **dict.fromkeys(self.written, TEXT), META: JSON})

    def ask(self, table: pa.Table, own: None = None) -> tuple[pa.Table, BacktranslationReport]:
        """Return rows with their samples; see `AskingJob`."""
        texts = python_columns(table.select([self.text_key]))[self.text_key]
        made = self._made(texts)
        written = [dict(zip(self.written, one.texts, strict=True)) for one in made]
        kept = table.select([name for name in table.column_names if self._is_kept(name)])
        rows = python_rows(kept) if kept.num_columns else [{}] * table.num_rows
        report = BacktranslationReport(Counter(one.status for one in made))
        stays = [one.status == sources.OK or not self.drops or self.dry_run for one in made]
        report.dropped = stays.count(False)
        metas = []
        for row, meta, text, one, new, stay in zip(rows, metas_of(table), texts, made, written, stays, strict=True):
            source_id = rewrites.id_of(row | {self.text_key: text}, meta)
            metas.append(self._noted(meta, text, source_id, one))
            if stay:
                texts_now = self.layout.read(row | new).sample
                report.rewrites[source_id] = [content_digest(row | new), sample_digest(texts_now)]
        for name in self.written:
            kept = set_column(kept, name, arrow_array([new[name] for new in written], pa.string()))
        return set_column(kept, META, json_array(metas)).filter(pa.array(stays, pa.bool_())), report

    def _noted(self, meta: Mapping[str, Any], text: str | None, source_id: str, made: _Made) -> dict[str, Any]:
        return sources.noted(
            meta,
            status=made.status,
            source=text,
            source_id=source_id,
            method=self.method.name,
            model=made.model or self.engine.model if made.status == sources.OK else None,
            prompt_sha256=made.prompt,
        )

    def _made(self, texts: Sequence[Any]) -> list[_Made]:
        problems = [self.bounds.problem(text) for text in texts]
        # Ask about equal texts only once, even without a journal.
        distinct = dict.fromkeys(text for text, why in zip(texts, problems, strict=True) if why is None)
        found = self._answers(list(distinct))
        return [found[text] if why is None else _Made(why) for text, why in zip(texts, problems, strict=True)]

    def _answers(self, texts: Sequence[str]) -> dict[str, _Made]:
        requests = [self._request(text) for text in texts]
        prompts = {request.tag: prompt_sha256(request.messages) for request in requests}
        found: dict[str, _Made] = {}

        def settle(outcome: LLMOutcome[Sample]) -> None:
            prompt = prompts[outcome.tag]
            if outcome.error is None:
                found[outcome.tag] = _Made(sources.OK, outcome.answers[0], prompt, outcome.answered_by)
            else:
                found[outcome.tag] = _Made(str(outcome.error), prompt=prompt)

        if self.dry_run:
            self.plan = added_up([self.plan, self.engine.plan(requests)])
            return dict.fromkeys(texts, _Made(DRY_RUN))
        if requests:
            self.engine.run(requests, settle, total=lambda: len(requests), more_to_come=True)
        return found

    def _request(self, text: str) -> LLMRequest[Sample]:
        return LLMRequest(
            tag=text,
            messages=self.method.messages(text),
            parse=lambda reply: self.method.read(reply, text),
            schema=self.method.schema,
            completion_tokens=self.method.completion_tokens(text),
        )

    def _is_kept(self, column: str) -> bool:
        return column != self.text_key and (is_carried(column) or column == ROW_ID)


def backtranslate_rows(rows: Rows, job: BacktranslationJob, manifest: Manifest) -> Rows:
    """Have a model turn the rows of a dataset into samples.

    :param rows: flat rows with a column of texts.
    :param job: job that makes the samples.
    :param manifest: gets the figures and details, even if the work had to stop.
    :return: the rows in the same order, without those that are dropped.
    :raises DatasetError: if more than half of the rows have no text; before any call.
    :raises LLMError: see `Rows.asked`.
    """
    before = sum(rows.tell(_problems, job.text_key, job.bounds, columns=[job.text_key]), Counter[str]())
    if 2 * before[BAD_ROW] > len(rows):
        verb = agree(before[BAD_ROW], "has", "have")
        raise DatasetError(
            f"{job.operator}: {before[BAD_ROW]:,} of {many(len(rows), 'row')} {verb} no text in the "
            f"column '{job.text_key}'. Name the column of your texts in text_key."
        )
    manifest.figures |= {"rows_in": len(rows)}
    manifest.details |= {"model": job.engine.model}
    if not job.dry_run:
        texts = len(rows) - before.total()
        verb = agree(texts, "goes", "go")
        logger.info(f"{job.operator}: {texts:,} of {many(len(rows), 'text')} {verb} to the model.")
    made, told = rows.asked(job, manifest, features=job.features)
    statuses = sum((report.statuses for report in told), Counter[str]())
    manifest.figures |= {
        "rows_out": len(made),
        "filtered_out": sum(report.dropped for report in told),
        "backtranslated": statuses[sources.OK],
        "without_sample": {
            status: count for status, count in sorted(statuses.items()) if status not in (sources.OK, DRY_RUN)
        },
    }
    manifest.details |= {
        "rewrites": {old: new for report in told for old, new in report.rewrites.items()},
        "source_columns": {"text": job.text_key, "written": list(job.written)},
    }
    return made


def _problems(table: pa.Table, text_key: str, bounds: TextBounds) -> tuple[None, Counter[str]]:
    texts = python_columns(table.select([text_key]))[text_key]
    return None, Counter(problem for text in texts if (problem := bounds.problem(text)) is not None)
