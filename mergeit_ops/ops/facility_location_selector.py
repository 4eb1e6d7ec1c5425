"""Keep the samples that represent all samples: facility location, per topic or over a flat dataset."""

from __future__ import annotations

from typing import Any

from data_juicer.ops.base_op import OPERATORS

from mergeit_ops.constraints import OneOf
from mergeit_ops.core.selection.budget import ALLOCATIONS
from mergeit_ops.core.selection.facility_location import METRICS, FacilityLocation
from mergeit_ops.ops.parameters import declare
from mergeit_ops.ops.topic_selector import TOPIC_SELECTOR_CONSTRAINTS, TopicSelector

OP_NAME = "facility_location_selector"


@OPERATORS.register_module(OP_NAME)
class FacilityLocationSelector(TopicSelector):
    """Keep representatives: the samples that greedily maximise the facility-location objective.

    F(S) = sum over samples i of max over chosen j of sim(i, j) (MergeIT, stage 1). On topics it selects within each
    topic and topics come out; on a flat dataset it selects from the whole and keeps columns and order. submodlib does
    the greedy work where its wheels exist and rows are few, a lazy greedy of the same objective elsewhere. Above 8,000
    samples the objective stays within about 1 % of the exact greedy's, in memory that grows with the samples."""

    _constraints = {**TOPIC_SELECTOR_CONSTRAINTS, "allocation": OneOf(ALLOCATIONS), "metric": OneOf(METRICS)}

    def __init__(
        self,
        allocation: str = "proportional",
        metric: str = "cosine",
        *args: Any,
        **kwargs: Any,
    ) -> None:
        """
        Initialization method.

        At most one of `select_ratio`, `num_per_topic` and `select_num` may be set; none of them means a ratio of 0.2,
        the paper's.

        :param allocation: how `select_num` is split: `proportional` to topic sizes (largest remainder), in `equal`
            parts, or by marginal `gain`, which favours topics that are hard to represent.
        :param metric: `cosine`, or `euclidean`: submodlib's kernel exp(-distance / d), as in the released code.
        :param args: extra args
        :param kwargs: extra args
        """
        declare(self, locals())
        super().__init__(*args, **kwargs)
        self.metric = metric

    @property
    def method(self) -> FacilityLocation:
        """Return facility location with the recipe's metric."""
        return FacilityLocation(self.metric)  # type: ignore[arg-type]
