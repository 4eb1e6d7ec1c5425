"""Keep samples that differ from each other, by a method of the literature."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.constraints import OPTIONAL_TEXT, Number, OneOf
from mergeit_ops.core.selection import DIVERSITY_METHODS
from mergeit_ops.core.selection.budget import FIXED_BUDGETS
from mergeit_ops.core.selection.dpp import KERNELS
from mergeit_ops.core.selection.method import Need
from mergeit_ops.core.selection.starts import STARTS
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops.method_selector import MethodSelector
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.topic_selector import TOPIC_SELECTOR_CONSTRAINTS

OP_NAME = "diversity_selector"


@OPERATORS.register_module(OP_NAME)
class DiversitySelector(MethodSelector):
    """Keep samples that differ from each other, by their embeddings.

    `k_center`: each sample is the one farthest from all chosen before it, so that no sample is far from all chosen ones
    (core-set selection; it seeks outliers). `quantization`: a random share of each of `num_bins` bins, which range from
    the most central samples to those that are left, so that the spread of the whole remains (dataset quantization; for
    50,000 samples at most). `dpp`: each sample raises the determinant of the kernel matrix of the chosen ones the most
    (greedy MAP inference of a determinantal point process), for small sets without near-duplicates: samples times
    chosen ones are 250 million at most. `novelty`: each sample is the one farthest from the chosen ones, near ones
    counting more, where distances in dense regions are longer (NovelSelect); for 20,000 samples at most, in a time that
    grows with samples times the square of the chosen ones. `centroid_distance`: the samples farthest from the mean of
    their topic, a baseline of the MergeIT paper: for it, put `topic_cluster_grouper` with `num_clusters: 120` and
    `pca_variance: null` before this operator, so that the mean is K-means' own centroid. On topics it selects within
    each topic and topics come out; on a flat dataset it selects from the whole and keeps columns and order."""

    methods = DIVERSITY_METHODS
    _constraints = {
        **TOPIC_SELECTOR_CONSTRAINTS,
        "allocation": OneOf(tuple(FIXED_BUDGETS)),
        "method": OneOf(tuple(DIVERSITY_METHODS)),
        "start": OneOf(STARTS),
        "start_column": OPTIONAL_TEXT,
        "kernel": OneOf(KERNELS),
        "bandwidth": Number(low=0, low_open=True, optional=True),
        "density_neighbors": Number(low=1, integer=True),
        "density_power": Number(low=0),
        "num_bins": Number(low=1, integer=True),
        "seed": Number(low=0, high=2**32 - 1, integer=True),
    }

    def __init__(
        self,
        method: str = "k_center",
        allocation: str = "proportional",
        start: str = "centroid",
        start_column: Optional[str] = None,
        kernel: str = "rbf",
        bandwidth: Optional[float] = None,
        density_neighbors: int = 10,
        density_power: float = 0.5,
        num_bins: int = 10,
        seed: int = 42,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        At most one of `select_ratio`, `num_per_topic`, `select_num` and `select_tokens` may be set; none of them means
        a ratio of 0.2.

        :param method: one of the methods above.
        :param allocation: how `select_num` or `select_tokens` is split: `proportional` to topic sizes (largest
            remainder), or in `equal` parts; other topics get what small topics cannot use.
        :param start: the first sample of `k_center`, `dpp` and `novelty`: the one nearest to the mean (`centroid`, no
            outlier), the `first` one, a `random` one, or the samples that a column names (`column`).
        :param start_column: for `start: column`: a column of true and false. The samples where it is true are chosen
            already. They are kept and count toward the budget; the others are chosen to differ from them. null counts
            as false. Where none is true, the start is the centroid. If more are true than the budget allows, the run
            stops.
        :param kernel: how much two samples are alike for `dpp`: `rbf`, exp(-distance^2 / (2 bandwidth^2)), or `linear`,
            the cosine. With `linear` as many samples as dimensions determine all others. When the choices determine
            what is left, such as duplicates, the choice begins anew among the samples that are left.
        :param bandwidth: bandwidth of the `rbf` kernel; null: the root mean square of the distances between samples,
            which is close to the usual median distance and does not depend on the order of samples.
        :param density_neighbors: nearest samples that make the density around a sample for `novelty`, 10 as in the
            released code. Samples with so many duplicates seem extremely dense and are chosen first: remove duplicates
            before.
        :param density_power: power of the density, which is 1 over the mean squared distance to these samples. 0: all
            distances count alike. 0.5 is the released code's.
        :param num_bins: bins of `quantization`, 10 as in the released code. Each holds floor(samples / bins), the last
            one also what is left. A budget of fewer samples than bins takes none from the later bins.
        :param seed: seed of a random start, and of the random shares of `quantization`.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if `start: column` lacks a `start_column`, or a `start_column` is given without it, or a
            parameter of another method is set.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        if (start == "column") != (start_column is not None):
            raise RecipeError(
                f"{self._name}: `start: column` needs a start_column, and a start_column needs `start: column`; got "
                f"start {start!r} and start_column {start_column!r}."
            )

    @property
    def field_keys(self) -> Mapping[Need, tuple[str, str]]:
        """Return the column of the samples that are chosen already."""
        column = self.parameters["start_column"]
        return {} if column is None else {"chosen": ("start_column", column)}
