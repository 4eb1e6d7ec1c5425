"""Keep samples that differ from each other, by a published method."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any, Optional

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.constraints import OPTIONAL_TEXT, Number, OneOf
from mergeit_ops.core.selection import DIVERSITY_METHODS
from mergeit_ops.core.selection.budget import FIXED_BUDGETS
from mergeit_ops.core.selection.dpp import KERNELS
from mergeit_ops.core.selection.method import PARTITION_ROWS, Need
from mergeit_ops.core.selection.starts import STARTS
from mergeit_ops.ops.method_selector import MethodSelector
from mergeit_ops.ops.parameters import check_pair, declare
from mergeit_ops.ops.topic_selector import PARTITION_ROWS_NUMBER, TOPIC_SELECTOR_CONSTRAINTS

OP_NAME = "diversity_selector"


@OPERATORS.register_module(OP_NAME)
class DiversitySelector(MethodSelector):
    """Keep samples that differ from each other, by their embeddings.

    `k_center` repeatedly chooses the sample farthest from all chosen ones, so that no sample is far from every chosen
    one (core-set selection; it favours outliers). `quantization` divides the samples into `num_bins` bins, from the
    most central samples to the rest, and chooses a random share of each bin, so that the spread of the dataset remains
    (dataset quantization; for at most 50,000 samples). `dpp` repeatedly chooses the sample that raises the determinant
    of the chosen samples' kernel matrix the most (greedy MAP inference of a determinantal point process). It suits
    small sets without near-duplicates: the number of samples times the number of chosen ones is at most 250 million.
    `novelty` repeatedly chooses the sample farthest from the chosen ones (NovelSelect). Near chosen samples count more,
    and distances in dense regions are lengthened. It takes at most 20,000 samples; its time grows with the number of
    samples times the square of the number of chosen ones. `centroid_distance` chooses the samples farthest from the
    mean of their topic. To reproduce this baseline of the MergeIT paper, put `topic_cluster_grouper` with
    `num_clusters: 120` and `pca_variance: null` before this operator, so that the mean is K-means' own centroid. Given
    topics, the operator selects within each topic and returns topics. Given a flat dataset, it selects from all samples
    and keeps columns and order."""

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
        "partition_rows": PARTITION_ROWS_NUMBER,
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
        partition_rows: Optional[int] = PARTITION_ROWS,
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        At most one of `select_ratio`, `num_per_topic`, `select_num` and `select_tokens` may be set. If none is set, the
        ratio is 0.2.

        :param method: one of the methods above.
        :param allocation: how `select_num` or `select_tokens` is split: `proportional` to topic sizes (largest
            remainder), or in `equal` parts. What a small topic cannot use goes to the others.
        :param start: the first sample of `k_center`, `dpp` and `novelty`: the one nearest to the mean (`centroid`,
            which is no outlier), the `first` one, a `random` one, or all samples that a column marks (`column`).
        :param start_column: for `start: column`: a column of true and false. Samples marked true are kept and count
            toward the budget, and the other samples are chosen to differ from them. null counts as false. If no sample
            is marked, the start is `centroid`. If more samples are marked than the budget allows, the run stops.
        :param kernel: how `dpp` measures the similarity of two samples: `rbf`, exp(-distance^2 / (2 bandwidth^2)), or
            `linear`, the cosine. When the chosen samples determine all that are left (duplicates, for example), the
            choice starts again among those that are left. With `linear`, this happens once the number of chosen samples
            reaches the number of dimensions.
        :param bandwidth: bandwidth of the `rbf` kernel; null: the root mean square of the distances between samples,
            which is close to the usual median distance and does not depend on the order of samples.
        :param density_neighbors: number of nearest samples from which `novelty` computes the density around a sample;
            10 as in the released code. A sample with that many duplicates seems extremely dense and is chosen first, so
            remove duplicates before.
        :param density_power: exponent of the density, which is 1 over the mean squared distance to these samples. With
            0 all distances count alike. The released code uses 0.5.
        :param num_bins: bins of `quantization`; 10 as in the released code. Each holds floor(samples / bins) samples,
            and the last one also the remainder. With a budget of fewer samples than bins, nothing is taken from the
            later bins.
        :param seed: seed of a random start, and of the random shares of `quantization`.
        :param partition_rows: for `k_center` on Ray: most samples of a flat dataset whose embeddings one task holds. If
            there are more, they are divided into partitions, and the choice is the same up to ties. null: one task
            holds all embeddings. In the default executor, which holds them all anyway, it changes nothing. The other
            methods need all samples at once.
        :param args: extra args
        :param kwargs: extra args
        :raises RecipeError: if only one of `start: column` and `start_column` is given, or a parameter of another
            method is set.
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        check_pair(self, "start", "column", "start_column")

    @property
    def field_keys(self) -> Mapping[Need, tuple[str, str]]:
        """Return the column that marks the samples chosen already."""
        column = self.parameters["start_column"]
        return {} if column is None else {"chosen": ("start_column", column)}
