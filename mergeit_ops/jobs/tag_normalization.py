"""Merge tags that mean the same."""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass
from functools import partial
from typing import Any

import pyarrow as pa

from mergeit_ops.core.tags.least_count import least_count
from mergeit_ops.core.tags.rule_form import rule_form
from mergeit_ops.core.tags.similar_pairs import MOST_TAGS
from mergeit_ops.core.tags.synonyms import implied_by, pairs_of, synonyms
from mergeit_ops.dataset.tag_lists import tag_lists, with_tag_features, with_tags
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.rows import Rows
from mergeit_ops.jobs.sample_reader import EncoderSettings
from mergeit_ops.jobs.tagging import tag_figures

__all__ = ["TagNormalization"]


@dataclass(frozen=True)
class TagNormalization:
    """Gives one name to tags that mean the same.

    :param operator: registry name, for messages.
    :param column: column of the tags, as lists of texts.
    :param encoder: embeds tags.
    :param min_tag_count: number of rows in which a tag must occur; None: see `least_count`.
    :param merge_similarity: lowest cosine at which two tags become one; None: they are not compared.
    :param min_support: fewest rows in which a tag occurs with a tag that it implies; None: no rules of association.
    :param min_confidence: smallest share of a tag's rows that must also have the tag that it implies.
    """

    operator: str
    column: str
    encoder: EncoderSettings
    min_tag_count: int | None = None
    merge_similarity: float | None = 0.95
    min_support: int | None = None
    min_confidence: float = 0.99

    def mapping(self, rows: Rows) -> tuple[dict[str, str], dict[str, int]]:
        """Find the names of the tags of a dataset.

        :param rows: flat rows.
        :return: a mapping of each kept tag, in the form of the rules, to its name; and the figures for the record.
        :raises DatasetError: if there are too many tags to compare.
        """
        counts = _sum(rows.tell(_forms, self.column, columns=[self.column]))
        least = least_count(len(rows), self.min_tag_count)
        # In the order of their names, so that the division of the rows does not matter.
        frequent = sorted(form for form, count in counts.items() if count >= least)
        names = self._synonyms(frequent, counts)
        figures = {"tags_found": len(counts), "tags_frequent": len(frequent), "tags_merged": len(set(names.values()))}
        if self.min_support is None:
            return names, figures
        # A row may have several tags with one name, so the names are counted again.
        tags = _sum(rows.tell(_named, self.column, names, columns=[self.column]))
        often = frozenset(tag for tag, count in tags.items() if count >= self.min_support)
        pairs = _sum(rows.tell(_pairs, self.column, names, often, columns=[self.column]))
        implied = implied_by(tags, pairs, self.min_support, self.min_confidence)
        names = {form: implied.get(name, name) for form, name in names.items()}
        return names, {**figures, "tags_implied": len(implied)}

    def _synonyms(self, tags: Sequence[str], counts: Mapping[str, int]) -> dict[str, str]:
        if self.merge_similarity is None or not tags:
            return {tag: tag for tag in tags}
        if len(tags) > MOST_TAGS:
            raise DatasetError(
                f"{self.operator}: {len(tags):,} tags are left, and at most {MOST_TAGS:,} can be compared; raise "
                "min_tag_count, or set merge_similarity to null."
            )
        return synonyms(tags, counts, self.encoder.embed(tags), self.merge_similarity)

    def normalized(self, rows: Rows, names: Mapping[str, str]) -> tuple[Rows, dict[str, Any]]:
        """Replace the tags of rows by their names.

        :param rows: flat rows.
        :param names: result of `mapping`; other tags are dropped.
        :return: the rows, and the figures for the record.
        """
        features = partial(with_tag_features, column=self.column)
        renamed, told = rows.map(_renamed, self.column, names, features=features)
        counts: Counter[int] = sum(told, Counter())
        return renamed, {"rows_in": len(rows), "rows_out": len(renamed), **tag_figures(counts)}


def _names(table: pa.Table, column: str, names: Mapping[str, str]) -> list[list[str]]:
    rows = ([names.get(rule_form(tag)) for tag in tags] for tags in tag_lists(table, column))
    return [list(dict.fromkeys(name for name in row if name is not None)) for row in rows]


def _forms(table: pa.Table, column: str) -> tuple[None, Counter[str]]:
    rows = tag_lists(table, column)
    forms = {tag: rule_form(tag) for tag in {tag for tags in rows for tag in tags}}
    return None, Counter(form for tags in rows for form in {forms[tag] for tag in tags} if form)


def _named(table: pa.Table, column: str, names: Mapping[str, str]) -> tuple[None, Counter[str]]:
    return None, Counter(name for row in _names(table, column, names) for name in row)


def _pairs(
    table: pa.Table, column: str, names: Mapping[str, str], often: frozenset[str]
) -> tuple[None, Counter[tuple[str, str]]]:
    rows = _names(table, column, names)
    return None, Counter(pair for row in rows for pair in pairs_of([name for name in row if name in often]))


def _renamed(table: pa.Table, column: str, names: Mapping[str, str]) -> tuple[pa.Table, Counter[int]]:
    rows = _names(table, column, names)
    return with_tags(table, column, rows), Counter(map(len, rows))


def _sum(parts: Any) -> Counter[Any]:
    total: Counter[Any] = Counter()
    for part in parts:
        total.update(part)
    return total
