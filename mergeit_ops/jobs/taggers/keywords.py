"""Key phrases of the instructions as tags: without a language model, and without a download."""

from __future__ import annotations

from collections import Counter
from collections.abc import Collection, Sequence
from dataclasses import dataclass

import pyarrow as pa

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.tags.key_phrases import KeyPhrases, count_phrases
from mergeit_ops.core.tags.least_count import least_count
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.taggers.base import ReadyTagger, Tagger

__all__ = ["KeywordTagger"]


@dataclass(frozen=True)
class KeywordTagger(Tagger):
    """Tags are the key phrases of the instruction, of all its questions in a conversation.

    Where there is no instruction, they are those of the input.

    :param max_tags: tags of a row at most.
    :param ngram_max: words in a tag at most.
    :param min_tag_count: rows that a phrase must be in; None: see `least_count`.
    """

    max_tags: int = 10
    ngram_max: int = 3
    min_tag_count: int | None = None

    def ready(self, rows: Rows, reader: SampleReader) -> ReadyTagger:
        """Count the phrases of all rows, one pass for each length."""
        columns = [name for name in reader.layout.columns if name in rows.columns]
        least = least_count(len(rows), self.min_tag_count)
        counts: dict[str, int] = {}
        known: frozenset[str] = frozenset()
        for words in range(1, self.ngram_max + 1):
            found: Counter[str] = Counter()
            for told in rows.tell(_counted, reader, words, known, columns=columns):
                found.update(told)
            frequent = {phrase: count for phrase, count in found.items() if count >= least}
            counts |= frequent
            known = frozenset(frequent)
        return _Ready(KeyPhrases(counts, len(rows), self.ngram_max, self.max_tags))


@dataclass(frozen=True)
class _Ready(ReadyTagger):
    phrases: KeyPhrases

    def tags(self, samples: Sequence[Sample]) -> list[list[str]]:
        """See `ReadyTagger`."""
        return [self.phrases.of(_text(sample)) for sample in samples]


def _counted(table: pa.Table, reader: SampleReader, words: int, known: Collection[str]) -> tuple[None, Counter[str]]:
    texts = (_text(reading.sample) for reading in reader.readings(table))
    return None, count_phrases(texts, words, known)


def _text(sample: Sample) -> str:
    return sample.instruction if sample.instruction.strip() else sample.input
