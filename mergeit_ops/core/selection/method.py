"""The input of a selection method, and its interface."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from typing import ClassVar, Literal, Protocol

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.selection.selection import Selection
from mergeit_ops.core.selection.summaries import Summaries
from mergeit_ops.core.selection.token_budget import select_within

__all__ = ["PARTITION_ROWS", "Need", "Pool", "Selection", "SelectionMethod"]

PARTITION_ROWS = 200_000
"""Default of `most_rows`. Their vectors take 0.3 GB at 384 dimensions, and a task that chooses among them takes a few
times that."""

Need = Literal[
    "vectors", "scores", "targets", "tags", "texts", "topics", "chosen", "samples", "row_ids", "target_samples"
]
"""The parts of a pool that a method may need."""


@dataclass(frozen=True)
class Pool:
    """n rows to choose from. Only the parts that the method `needs` are filled.

    :param vectors: (n, d) float32 of unit norm.
    :param scores: (n,) float64 scores of all rows, on the operator's scale, which is fitted to the whole dataset.
    :param targets: (m, d) float32: vectors of the rows of a target.
    :param tags: (n,) different tags of each row, in order.
    :param tag_edges: pairs of similar tags, and their similarity in [0, 1]; each pair once.
    :param texts: (n,) query text of each row, which is embedded.
    :param topics: (n,) topic of each row, numbered from 0; -1: none.
    :param chosen: (n,) bool: whether a row is chosen already.
    :param samples: (n,) the texts of each row.
    :param row_ids: (n,) identity of each row.
    :param target_samples: texts of the rows of a target, read from a file.
    :param kept: number of rows that are kept in the end, if it is not the budget. This is so if rows are ordered to
        split a budget among topics, or if the budget counts tokens. None: as many as are chosen.
    :param summaries: groups of all rows, one for each row of the pool, if the pool holds only what partitions of the
        rows have chosen; None: the pool holds all rows.
    """

    vectors: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    scores: NDArray[np.float64] = field(default_factory=lambda: np.zeros(0))
    targets: NDArray[np.float32] = field(default_factory=lambda: np.zeros((0, 0), np.float32))
    tags: Sequence[tuple[str, ...]] = ()
    tag_edges: Sequence[tuple[str, str, float]] = ()
    texts: Sequence[str] = ()
    topics: NDArray[np.int64] = field(default_factory=lambda: np.zeros(0, np.int64))
    chosen: NDArray[np.bool_] = field(default_factory=lambda: np.zeros(0, bool))
    samples: Sequence[Sample] = ()
    row_ids: Sequence[str] = ()
    target_samples: Sequence[Sample] = ()
    kept: float | None = None
    summaries: Summaries | None = None


class SelectionMethod(Protocol):
    """Chooses rows. An instance is frozen and small: it is sent to the workers of a cluster.

    Methods inherit from it to get the defaults.
    """

    selected: ClassVar[str]
    """Description of the chosen rows in the report, such as `the most representative`."""

    nested: ClassVar[bool] = True
    """Whether the selection of fewer rows is the beginning of the selection of more rows."""

    has_bound: ClassVar[bool] = False
    """Whether it may choose fewer rows than the budget, because a row must meet a bound of the method."""

    stats: ClassVar[Mapping[str, type]] = {}
    """Stats that the method writes for each chosen row, and the Python types of their values."""

    whole_only: ClassVar[bool] = False
    """Whether the method needs the whole dataset and cannot choose within topics."""

    goes_farthest: ClassVar[bool] = False
    """Whether each choice is the row farthest from the choices before it. Partitions then need to know only these."""

    in_partitions: ClassVar[str] = ""
    """How it chooses from partitions of the rows, for the log; empty if it needs all rows at once."""

    @property
    def needs(self) -> frozenset[Need]:
        """Return which parts of the pool must be filled."""
        return frozenset({"vectors"})

    @property
    def most_rows(self) -> int | None:
        """Return the most rows of a flat dataset that are chosen from at once on a cluster.

        More rows are divided into partitions. If the method `goes_farthest`, each keeps the distances of its rows.
        Otherwise rows are chosen from each, and then among the chosen, with `summaries` of the others. None if the
        method must see all rows.
        """
        return None

    @property
    def edge_similarity(self) -> float | None:
        """Return the lowest cosine of two similar tags, for `tag_edges` of the pool; None if no edges are needed."""
        return None

    def select(self, pool: Pool, budget: int) -> Selection:
        """Choose rows.

        :param pool: the rows.
        :param budget: rows to choose, 1 <= budget <= n.
        :return: the rows, best first; `budget` of them, or fewer if the method has a bound. Equal rows go to the lowest
            position.
        """
        ...

    def select_within(self, pool: Pool, costs: NDArray[np.int64], tokens: int) -> Selection:
        """Choose rows whose tokens fit into a budget; see `select_within` of `token_budget`.

        :param pool: the rows.
        :param costs: (n,) tokens of each row, at least 1.
        :param tokens: most tokens of the chosen rows together.
        """
        return select_within(lambda budget: self.select(pool, budget), costs, tokens, self.nested)

    def refusal(self, rows: int, budget: int) -> str:
        """Return why there are too many rows for the method, as a sentence without a full stop; empty if there are not.

        :param rows: rows to choose from.
        :param budget: rows to choose.
        """
        return ""

    def note(self, rows: int, budget: int) -> str:
        """Return a note to log about a selection; empty if there is none.

        :param rows: rows to choose from.
        :param budget: rows to choose.
        """
        return ""
