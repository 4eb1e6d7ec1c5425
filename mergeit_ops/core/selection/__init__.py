"""Selection of rows: budgets, and selection methods."""

from __future__ import annotations

from collections.abc import Mapping

from mergeit_ops.core.selection.centroid_distance import CentroidDistance
from mergeit_ops.core.selection.cluster_top import ClusterTop
from mergeit_ops.core.selection.complexity_first import ComplexityFirst
from mergeit_ops.core.selection.dpp import DPP
from mergeit_ops.core.selection.information_gain import InformationGain
from mergeit_ops.core.selection.k_center import KCenter
from mergeit_ops.core.selection.method import SelectionMethod
from mergeit_ops.core.selection.ngram_coverage import NgramCoverage
from mergeit_ops.core.selection.novelty import Novelty
from mergeit_ops.core.selection.quantization import Quantization
from mergeit_ops.core.selection.similarity_filter import SimilarityFilter

__all__ = ["DIVERSITY_METHODS", "SCORED_DIVERSITY_METHODS", "TAG_METHODS"]

DIVERSITY_METHODS: Mapping[str, type[SelectionMethod]] = {
    "k_center": KCenter,
    "quantization": Quantization,
    "dpp": DPP,
    "novelty": Novelty,
    "centroid_distance": CentroidDistance,
}
"""Methods of `diversity_selector` by name."""

TAG_METHODS: Mapping[str, type[SelectionMethod]] = {
    "complexity_first": ComplexityFirst,
    "information_gain": InformationGain,
}
"""Methods of `tag_coverage_selector` by name."""

SCORED_DIVERSITY_METHODS: Mapping[str, type[SelectionMethod]] = {
    "similarity_filter": SimilarityFilter,
    "cluster_top": ClusterTop,
    "ngram_coverage": NgramCoverage,
}
"""Methods of `scored_diversity_selector` by name."""
