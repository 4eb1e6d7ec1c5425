"""Ask a language model for the tags of rows."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any

import pyarrow as pa
from datasets import Features

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.tags.questions import TagQuestion
from mergeit_ops.core.tags.replies import read_tags
from mergeit_ops.dataset.manifest import Manifest, added_up
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import JSON, json_array, set_column
from mergeit_ops.dataset.tag_lists import with_tag_features, with_tags
from mergeit_ops.jobs.asking import EngineJob
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.scoring import STATUS
from mergeit_ops.jobs.tagging import check_readable, tag_figures
from mergeit_ops.llm.requests import LLMOutcome, LLMRequest

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["LLMTagging", "ask_for_tags"]

_OK, _BLANK, _DRY_RUN = "ok", "empty_instruction", "dry_run"

_Answer = tuple[tuple[str, ...], str]
"""The tags of a row, and its status."""


@dataclass
class LLMTagging(EngineJob):
    """Adds a model's tags to rows, and the status of each row to its stats; see `AskingJob`.

    :param reader: reads the rows.
    :param engine: asks the model.
    :param question: the conversation.
    :param column: column of the tags.
    :param dry_run: whether calls are only counted, and rows get no tags.
    :param may_use_gpu: whether a local model may use a GPU.
    """

    reader: SampleReader
    engine: LLMEngine
    question: TagQuestion
    column: str
    dry_run: bool = False
    may_use_gpu: bool = True
    plan: dict[str, Any] = field(default_factory=dict)

    @property
    def operator(self) -> str:
        """See `AskingJob`."""
        return self.reader.operator

    @property
    def stats(self) -> Mapping[str, pa.DataType]:
        """Arrow type of the new key of the stats."""
        return {self.column + STATUS: pa.string()}

    def features(self, features: Features) -> Features:
        """Return the columns and types of the resulting rows.

        :param features: columns and types of the input rows.
        """
        return with_tag_features(Features({**features, STATS: JSON}), self.column)

    def ask(self, table: pa.Table, own: None = None) -> tuple[pa.Table, tuple[Counter[int], Counter[str]]]:
        """Return rows with their tags, the number of rows by number of tags, and the number of rows by status."""
        found = self._answers([reading.sample for reading in self.reader.readings(table)])
        stats = [old | {self.column + STATUS: status} for old, (_, status) in zip(stats_of(table), found, strict=True)]
        tagged = with_tags(table, self.column, [tags for tags, _ in found])
        counts = Counter(len(tags) for tags, _ in found), Counter(status for _, status in found)
        return set_column(tagged, STATS, json_array(stats)), counts

    def _answers(self, samples: Sequence[Sample]) -> list[_Answer]:
        # Ask about equal texts only once, even without a journal.
        texts = [(sample.instruction, sample.input) for sample in samples]
        known: dict[tuple[str, str], _Answer] = {}
        asked: list[LLMRequest[tuple[str, ...]]] = []
        for text, sample in dict(zip(texts, samples, strict=True)).items():
            if sample.query.strip():
                asked.append(self._request(text, sample))
                known[text] = (), _DRY_RUN
            else:
                known[text] = (), _BLANK

        def settle(outcome: LLMOutcome[tuple[str, ...]]) -> None:
            known[outcome.tag] = (outcome.answers[0], _OK) if outcome.error is None else ((), str(outcome.error))

        if self.dry_run:
            self.plan = added_up([self.plan, self.engine.plan(asked)])
        elif asked:
            self.engine.run(asked, settle, total=lambda: len(asked), more_to_come=True)
        return [known[text] for text in texts]

    def _request(self, tag: tuple[str, str], sample: Sample) -> LLMRequest[tuple[str, ...]]:
        return LLMRequest(
            tag=tag,
            messages=self.question.messages(sample),
            parse=read_tags,
            completion_tokens=self.question.completion_tokens,
        )


def ask_for_tags(rows: Rows, job: LLMTagging, manifest: Manifest) -> Rows:
    """Have a model tag the rows of a dataset.

    :param rows: flat rows.
    :param job: asks it.
    :param manifest: gets the figures and details, even if the work had to stop.
    :return: the rows with their tags.
    :raises DatasetError: if most rows cannot be read; before any call.
    :raises LLMError: see `Rows.asked`.
    """
    readable = check_readable(rows, job.reader)
    manifest.figures |= {"rows_in": len(rows), **readable.figures()}
    prompt = prompt_sha256(job.question.messages(Sample("", "", "")))
    manifest.details |= {"model": job.engine.model, "prompt_sha256": prompt}
    tagged, told = rows.asked(job, manifest, features=job.features, stats=job.stats)
    counts = sum((tags for tags, _ in told), Counter[int]())
    statuses = sum((status for _, status in told), Counter[str]())
    failed = {status: count for status, count in sorted(statuses.items()) if status not in (_OK, _BLANK, _DRY_RUN)}
    manifest.figures |= {"rows_out": len(tagged), "failed": failed, **tag_figures(counts)}
    return tagged
