"""Translate a threshold of the default embedding model to the model of the topics' vectors.

The rows themselves are the reference sample, so no other data is needed: those with the lowest ids, in any order. They
have vectors already, so only the default model has to embed them. The result is stored for later runs.
"""

from __future__ import annotations

from collections import Counter
from collections.abc import Mapping
from dataclasses import dataclass, replace
from heapq import nlargest, nsmallest
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.merging.equal_strictness import LEAST_AGREEMENT, EqualStrictness
from mergeit_ops.core.text.characters import printable
from mergeit_ops.dataset.topics import table_topics
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL, STATIC, is_default
from mergeit_ops.embedding.similarity_scales import scale_in, shipped_scale, store_scale
from mergeit_ops.embedding.static.model import is_fitted
from mergeit_ops.errors import RecipeError
from mergeit_ops.folders import cache_folder
from mergeit_ops.jobs.noted_model import noted_model
from mergeit_ops.jobs.row_ids import row_ids
from mergeit_ops.jobs.rows import ModelUse, Rows
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.static_model import topics_refused, with_model
from mergeit_ops.llm.model_files import files_digest

__all__ = ["LEAST_TEXTS", "ScaledThreshold", "translated_threshold", "with_model_of_vectors"]

LEAST_TEXTS = 2_000
"""Fewest different texts of a reference sample."""

_MOST_TEXTS = 3_000  # 4.5 million pairs
_FOLDER = "similarity_scales"

_Row = tuple[str, str, NDArray[np.float32]]
"""Id, text and vector of a row."""


@dataclass(frozen=True)
class ScaledThreshold:
    """A threshold on the scale of the vectors.

    :param value: the cosine that a pair must exceed.
    :param details: for the record of the run; empty if nothing was translated.
    """

    value: float
    details: Mapping[str, Any]


def with_model_of_vectors(rows: Rows, reader: SampleReader, types: Mapping[str, pa.DataType]) -> SampleReader | None:
    """Return a reader that embeds with the model of the topics' vectors; None if it is unknown.

    :param rows: topics.
    :param reader: reads them.
    :param types: columns of the samples.
    :raises RecipeError: if the recipe and the grouper name different models.
    """
    named = reader.encoder.model
    if EMBEDDING not in types:
        if named == STATIC:
            raise topics_refused(reader.operator)
        return reader
    noted = noted_model(rows)
    if noted is None:
        if named == STATIC:
            raise RecipeError(
                f"{reader.operator}: embedding_model is static, but the fitted model that has made the vectors of "
                "these topics is unknown; give topic_cluster_grouper embedding_model: static too, or leave it out here."
            )
        return None if is_default(named) else reader
    if is_default(named) or (named == STATIC and is_fitted(noted)):
        return with_model(reader, noted)
    if noted != named:
        raise RecipeError(
            f"{reader.operator}: embedding_model is '{printable(named)}', but the rows were embedded with "
            f"'{printable(noted)}'; give both operators the same embedding_model, or this one none."
        )
    return reader


def translated_threshold(rows: Rows, reader: SampleReader, threshold: float) -> ScaledThreshold:
    """Return the threshold of a reader's model that is as strict as a threshold of the default model.

    :param rows: topics.
    :param reader: their reader, whose model has made or will make their vectors.
    :param threshold: cosine of the default model, in [-1, 1].
    :raises RecipeError: if no equally strict threshold can be found.
    """
    model = reader.encoder.model
    if is_default(model):
        return ScaledThreshold(threshold, {})
    name = f"{model} {digest}" if (digest := files_digest(model)) else model
    folder = cache_folder() / _FOLDER
    source, scale = "the package", shipped_scale(model)
    if scale is None:
        source, scale = "an earlier run", scale_in(folder, name)
    if scale is None:
        source, scale = "these rows", _scale_of(rows, reader, threshold)
        _store(folder, name, scale, reader.operator)
    try:
        value, share, agreement = scale.at(threshold)
    except ValueError as error:
        raise RecipeError(_refusal(reader, threshold, f"{error} in the reference sample ({source})")) from error
    if not agreement >= LEAST_AGREEMENT:
        raise RecipeError(
            _refusal(
                reader,
                threshold,
                f"the two models hardly ever find the same pairs similar (Cohen's kappa {agreement:.3f}, from "
                f"{source}; at least {LEAST_AGREEMENT:g} is needed)",
            )
        )
    logger.info(
        f"{reader.operator}: similarity_threshold {threshold:g} is on the scale of {DEFAULT_EMBEDDING_MODEL}; for "
        f"{printable(model)} {value:.4f} is as strict ({share:.3%} of random pairs lie above it; found in {source}). "
        "similarity_threshold_scale: raw turns this off."
    )
    details = {"model": model, "given": threshold, "used": value, "share": share, "agreement": agreement}
    return ScaledThreshold(value, {"similarity_threshold": {**details, "source": source}})


def _scale_of(rows: Rows, reader: SampleReader, threshold: float) -> EqualStrictness:
    sample = _reference(rows, reader)
    if len(sample) < LEAST_TEXTS:
        needed = f"that takes {LEAST_TEXTS:,} different samples or more, and the topics have {len(sample):,}"
        raise RecipeError(_refusal(reader, threshold, needed))
    texts = [text for _, text, _ in sample]
    default = replace(reader.encoder, model=DEFAULT_EMBEDDING_MODEL)
    known = rows.once(lambda: default.embed(texts), ModelUse(reader.operator, default.accelerator))
    return EqualStrictness.of(known, np.stack([vector for _, _, vector in sample]))


def _reference(rows: Rows, reader: SampleReader) -> list[_Row]:
    """Return the rows with the lowest ids, each text once.

    If the model was fitted to the rows with the lowest ids, the rows with the highest ids are used, because a fitted
    model agrees better with the default model on rows that it was fitted to.
    """
    lowest = not is_fitted(reader.encoder.model)
    outer = nsmallest if lowest else nlargest
    # Ids are collected first. Otherwise, on a cluster, every part would send as many texts as all parts together need.
    ids = outer(_MOST_TEXTS, (row_id for part in rows.tell(_outer_ids, reader, lowest) for row_id in part))
    if not ids:
        return []
    parts = rows.tell(_rows_between, reader, min(ids), max(ids))
    found = sorted((row for part in parts for row in part), key=lambda row: row[0])
    return list({text: (row_id, text, vector) for row_id, text, vector in reversed(found)}.values())[::-1]


def _outer_ids(table: pa.Table, reader: SampleReader, lowest: bool) -> tuple[None, list[str]]:
    seen: Counter[str] = Counter()
    ids = (row_id for topic in table_topics(table) for row_id in row_ids(topic.table, seen, reader.operator))
    return None, (nsmallest if lowest else nlargest)(_MOST_TEXTS, ids)


def _rows_between(table: pa.Table, reader: SampleReader, first: str, last: str) -> tuple[None, list[_Row]]:
    seen: Counter[str] = Counter()
    found: list[_Row] = []
    for topic in table_topics(table):
        ids = row_ids(topic.table, seen, reader.operator)
        positions = [position for position, row_id in enumerate(ids) if first <= row_id <= last]
        some = topic.table.take(pa.array(positions, pa.int64()))
        texts = [reader.embedded_text(reading.sample) for reading in reader.readings(some)]
        vectors = reader.vectors(some)
        for position, text, vector in zip(positions, texts, vectors, strict=True):
            if text.strip() and vector.any():
                found.append((ids[position], text, vector))
    return None, found


def _store(folder: Path, name: str, scale: EqualStrictness, operator: str) -> None:
    try:
        store_scale(folder, name, scale)
    except OSError as error:
        logger.warning(
            f"{operator}: the scale of similarities could not be stored in {folder} ({error.strerror or error}); the "
            "next run computes it again."
        )


def _refusal(reader: SampleReader, threshold: float, reason: str) -> str:
    return (
        f"{reader.operator}: similarity_threshold {threshold:g} is on the scale of {DEFAULT_EMBEDDING_MODEL} and "
        f"cannot be translated to {printable(reader.encoder.model)}: {reason}. Set similarity_threshold_scale: raw, "
        "and similarity_threshold to a cosine of that model. No call was made."
    )
