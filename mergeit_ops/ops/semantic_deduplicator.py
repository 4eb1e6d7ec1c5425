"""Keep one of each group of samples that say nearly the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.constraints import FLAG, OPTIONAL_TEXT, Number, OneOf
from mergeit_ops.core.selection.apart import CHAINS
from mergeit_ops.core.selection.method import SelectionMethod
from mergeit_ops.core.selection.semantic_deduplication import KEEPS, SemanticDeduplication
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.scores import ScoreSettings
from mergeit_ops.jobs.selection import SelectionJob
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.row_selector import ROW_SELECTOR_CONSTRAINTS, RowSelector

OP_NAME = "semantic_deduplicator"


@OPERATORS.register_module(OP_NAME)
class SemanticDeduplicator(RowSelector):
    """Keep one of each group of samples that say nearly the same, by their embeddings (SemDeDup, arXiv 2303.09540).

    K-means divides samples into cells. In a cell, a sample is dropped if its cosine to one that is kept exceeds
    `max_similarity`. Then samples near the border of their cell are compared with those on the other side. `keep` says
    which one of two is kept. On topics, each topic is deduplicated for itself; on a flat dataset the whole, and columns
    and order stay. The record says how many were dropped (`too_alike`), and names each dropped sample and the one that
    it was dropped for by their row ids (`left_out_for`). Embeddings are of instruction and input: samples that ask the
    same and answer differently count as the same."""

    step = "Kept, one of each group of like samples"
    _constraints = {
        **ROW_SELECTOR_CONSTRAINTS,
        "max_similarity": Number(low=0, high=1),
        "num_clusters": Number(low=1, integer=True, optional=True),
        "keep": OneOf(KEEPS),
        "score_key": OPTIONAL_TEXT,
        "chain": OneOf(CHAINS),
        "across_cells": FLAG,
        "seed": Number(low=0, high=2**32 - 1, integer=True),
    }

    def __init__(
        self,
        max_similarity: float = 0.95,
        num_clusters: Optional[int] = None,
        keep: str = "first",
        score_key: Optional[str] = None,
        chain: str = "greedy",
        across_cells: bool = True,
        seed: int = 42,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        :param max_similarity: highest cosine that two kept samples of a cell may have; 0.95 is an eps of 0.05 in the
            paper.
        :param num_clusters: number of cells; null: one per 1,000 samples. A cell of more than 10,000 is divided. More
            cells take less time, and leave more like samples in different cells.
        :param keep: which of two like samples is kept: the one with the higher `score`; the `first`; the one farther
            from the centre of its cell (`hard`, the released code's), or nearer to it (`easy`).
        :param score_key: for `keep: score`, how good a sample is: a column, a key inside one after a dot, or the name
            of a stat that an operator before this one writes. Samples without a score are kept last.
        :param chain: `greedy`: a sample is dropped for a kept one. `released`: also for one that was dropped before it,
            as in the released code; of a chain, each like the next, only the first is kept.
        :param across_cells: whether samples are compared across the borders of cells: with those of the two nearest
            cells.
        :param seed: seed of K-means.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if `keep: score` lacks a `score_key`, or a `score_key` is given without it.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        if (keep == "score") != (score_key is not None):
            raise RecipeError(
                f"{self._name}: `keep: score` needs a score_key, and a score_key needs `keep: score`; got keep "
                f"{keep!r} and score_key {score_key!r}."
            )

    @property
    def method(self) -> SelectionMethod:
        """Return the deduplication that the recipe asks for."""
        values = self.parameters
        clusters = values["num_clusters"]
        return SemanticDeduplication(
            values["max_similarity"],
            None if clusters is None else int(clusters),
            values["keep"],
            values["chain"],
            values["across_cells"],
            int(values["seed"]),
        )

    @property
    def scoring(self) -> ScoreSettings | None:
        """Return the scores that the recipe asks for."""
        key = self.parameters["score_key"]
        return None if key is None else ScoreSettings(key, "rank", "lowest")

    def job(self, reader: SampleReader) -> SelectionJob:
        """See `RowSelector`."""
        return replace(super().job(reader), names_left_out=True)
