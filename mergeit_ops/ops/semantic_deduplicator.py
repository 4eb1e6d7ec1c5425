"""Keep one of each group of samples that mean nearly the same."""

from __future__ import annotations

from dataclasses import replace
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.constraints import FLAG, OPTIONAL_TEXT, Number, OneOf
from mergeit_ops.core.selection.apart import CHAINS
from mergeit_ops.core.selection.method import SelectionMethod
from mergeit_ops.core.selection.semantic_deduplication import KEEPS, SemanticDeduplication
from mergeit_ops.jobs.sample_reader import SampleReader
from mergeit_ops.jobs.scores import ScoreSettings
from mergeit_ops.jobs.selection import SelectionJob
from mergeit_ops.ops.parameters import check_pair, declare
from mergeit_ops.ops.row_selector import ROW_SELECTOR_CONSTRAINTS, RowSelector

OP_NAME = "semantic_deduplicator"


@OPERATORS.register_module(OP_NAME)
class SemanticDeduplicator(RowSelector):
    """Keep one of each group of samples that mean nearly the same, by their embeddings (SemDeDup, arXiv 2303.09540).

    K-means divides samples into cells. In a cell, a sample is dropped if its cosine to a kept sample exceeds
    `max_similarity`. Then samples near the border of their cell are compared with those on the other side. `keep` says
    which of two samples is kept. Given topics, the operator deduplicates each topic separately. Given a flat dataset,
    it deduplicates all samples together and keeps columns and order. The record says how many samples were dropped
    (`too_alike`). It lists the row id of each dropped sample with the row id of the sample kept in its place
    (`left_out_for`). Embeddings cover instruction and input, so samples that ask the same and answer differently count
    as the same."""

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

        :param max_similarity: highest cosine that two kept samples of a cell may have; 0.95 corresponds to an eps of
            0.05 in the paper.
        :param num_clusters: number of cells; null: one per 1,000 samples. A cell of more than 10,000 samples is
            divided. With more cells the work takes less time, but more similar samples are in different cells.
        :param keep: which of two similar samples is kept: the one with the higher `score`, the `first` one, the one
            farther from the centre of its cell (`hard`, as in the released code), or the one nearer to it (`easy`).
        :param score_key: for `keep: score`, the field that holds the quality of a sample: a column, a key inside one
            after a dot, or the name of a stat that an operator before this one writes. Samples without a score come
            last.
        :param chain: `greedy`: a sample is dropped if it is similar to a kept one. `released`: a sample is also dropped
            if it is similar to a dropped one, as in the released code; of a chain of samples, each similar to the next,
            only the first is kept.
        :param across_cells: whether samples are compared across the borders of cells, with those of the two nearest
            cells.
        :param seed: seed of K-means.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if only one of `keep: score` and `score_key` is given.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        check_pair(self, "keep", "score", "score_key")

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
