"""`embedding_model: static`: fit token vectors to the rows before the rows are embedded.

The sample is the rows with the lowest ids, in any order, so that every executor fits the same model. The model is
stored for later runs over the same rows.
"""

from __future__ import annotations

import hashlib
import json
import time
from collections.abc import Iterator
from contextlib import suppress
from dataclasses import replace
from functools import partial
from heapq import nsmallest
from typing import Any

import numpy as np
import pyarrow as pa
from loguru import logger
from numpy.typing import NDArray

from mergeit_ops.core.columns import EMBEDDING, ROW_ID, is_content
from mergeit_ops.core.text.counts import many
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL, STATIC
from mergeit_ops.embedding.sentence_encoder import SentenceEncoder
from mergeit_ops.embedding.static import files
from mergeit_ops.embedding.static.distilling import MOST_TEXTS, distilled, few_enough
from mergeit_ops.embedding.static.encoder import WINDOW_CHARACTERS
from mergeit_ops.embedding.static.fitting import METHOD
from mergeit_ops.embedding.static.model import StaticModel, is_fitted
from mergeit_ops.errors import EmbeddingError, RecipeError
from mergeit_ops.jobs.noted_model import noted_model
from mergeit_ops.jobs.row_keys import identity_keys
from mergeit_ops.jobs.rows import ModelUse, Rows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader

__all__ = ["model_figures", "topics_refused", "with_fitted_model", "with_model"]

_PROBES = 8  # rows whose vectors show which model has made them

_Row = tuple[str, str]
"""Id and text of a row."""


def with_fitted_model(rows: Rows, reader: SampleReader) -> SampleReader:
    """Return a reader with a model fitted to the rows, if the recipe asks for static token vectors; otherwise the same
    reader.

    :param rows: flat rows, or topics.
    :param reader: reads them.
    :raises RecipeError: if there are no flat rows to fit a model to.
    """
    if reader.encoder.model != STATIC:
        return reader
    if EMBEDDING in rows.columns:
        maker = noted_model(rows) if rows.grouped else _maker(rows, reader)
        return reader if maker is None else with_model(reader, maker)
    if rows.grouped:
        raise topics_refused(reader.operator)
    texts = few_enough(_first_texts(rows, reader))
    if not texts:
        return reader
    model = _model(rows, reader, texts)
    return replace(reader, encoder=replace(reader.encoder, model=model.name, fitted=model))


def with_model(reader: SampleReader, model: str) -> SampleReader:
    """Return a reader that embeds with another model.

    :param reader: the reader.
    :param model: name of the model. Token vectors that were fitted on this machine are sent to the workers of a
        cluster.
    """
    fitted = None
    if is_fitted(model):
        # The rows' own vectors can be compared without their model.
        with suppress(EmbeddingError):
            fitted = files.named(files.folder(), model)
    return replace(reader, encoder=replace(reader.encoder, model=model, fitted=fitted))


def model_figures(reader: SampleReader) -> dict[str, str]:
    """Return the name of the fitted model, for the record of a run; empty if there is none.

    :param reader: see `with_fitted_model`.
    """
    return {"embedding_model": reader.encoder.model} if is_fitted(reader.encoder.model) else {}


def topics_refused(operator: str) -> RecipeError:
    """Return the error for topics without vectors if the recipe asks for static token vectors.

    :param operator: registry name of the operator that has to embed them.
    """
    return RecipeError(
        f"{operator}: embedding_model is static, which is fitted to flat rows, but the rows are topics without "
        "vectors; put sentence_embedding_mapper with embedding_model: static before the grouper, or "
        "topic_cluster_grouper with embedding_model: static in its place."
    )


def _maker(rows: Rows, reader: SampleReader) -> str | None:
    """Return the fitted model of this machine that has made the vectors of flat rows; None if there is none."""
    found = next((part for part in rows.tell(_probes, reader) if part[0]), None)
    if found is None:
        return None
    texts, vectors = found
    for name in files.names(files.folder()):
        settings = replace(reader.encoder, model=name)
        with suppress(EmbeddingError):
            # The same model always gives a text the same bits, and another model does not.
            if np.array_equal(settings.embed(texts), vectors):
                return name
    return None


def _probes(table: pa.Table, reader: SampleReader) -> tuple[None, tuple[list[str], NDArray[np.float32]]]:
    some = table.slice(0, _PROBES)
    return None, ([reader.embedded_text(reading.sample) for reading in reader.readings(some)], reader.vectors(some))


def _model(rows: Rows, reader: SampleReader, texts: list[str]) -> StaticModel:
    encoder, place = reader.encoder, files.folder()
    fit = _digest(encoder, texts)
    model = files.of_fit(place, fit)
    if model is not None:
        logger.info(f"{reader.operator}: {model.name} was fitted to these rows by an earlier run.")
        return model
    start = time.perf_counter()
    model = rows.once(partial(_distilled, encoder, texts), ModelUse(reader.operator, encoder.accelerator))
    logger.info(
        f"{reader.operator}: static token vectors were fitted to {many(len(texts), 'row')} in "
        f"{time.perf_counter() - start:.0f} s, and are {model.name}."
    )
    try:
        files.store(place, fit, model)
    except OSError as error:
        logger.warning(
            f"{reader.operator}: {model.name} could not be stored in {place} ({error.strerror or error}); the next run "
            "fits it again, and an operator after this one that embeds with it stops."
        )
    return model


def _distilled(encoder: EncoderSettings, texts: list[str]) -> StaticModel:
    default = replace(encoder, model=DEFAULT_EMBEDDING_MODEL).load()
    assert isinstance(default, SentenceEncoder)
    return distilled(default, texts, encoder.batch_size)


def _digest(encoder: EncoderSettings, texts: list[str]) -> str:
    content = json.dumps([METHOD, encoder.dtype, encoder.accelerator, list(texts)])
    return hashlib.sha256(content.encode()).hexdigest()[:16]


def _first_texts(rows: Rows, reader: SampleReader) -> Iterator[str]:
    """Yield the texts of the rows with the lowest ids, each cut to the part that can matter."""
    # Ids are collected first. Otherwise, on a cluster, every part would send as many texts as all parts together need.
    read = [name for name in rows.columns if name == ROW_ID or is_content(name)]
    lowest: list[str] = []
    for part in rows.tell(_lowest_ids, columns=read):
        lowest = nsmallest(MOST_TEXTS, [*lowest, *part])
    if not lowest:
        return
    found = [row for part in rows.tell(_rows_up_to, reader, lowest[-1], columns=read) for row in part]
    yield from (text for _, text in sorted(found))


def _lowest_ids(table: pa.Table) -> tuple[None, list[str]]:
    return None, nsmallest(MOST_TEXTS, identity_keys(table)[1])


def _rows_up_to(table: pa.Table, reader: SampleReader, last: str) -> tuple[None, list[_Row]]:
    ids = identity_keys(table)[1]
    positions = [position for position, row_id in enumerate(ids) if row_id <= last]
    chosen: Any = table.take(pa.array(positions, pa.int64()))
    texts = (reader.embedded_text(reading.sample)[:WINDOW_CHARACTERS] for reading in reader.readings(chosen))
    return None, [(ids[position], text) for position, text in zip(positions, texts, strict=True)]
