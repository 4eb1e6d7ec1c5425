"""Rows that a classifier of clusters is least sure about (LCG, Low-Confidence Gold, arXiv 2502.18978)."""

from __future__ import annotations

from collections.abc import Mapping

from mergeit_ops.core.selection.low_confidence.method import LogisticConfidence, LowConfidence, NaiveBayesConfidence

__all__ = ["LOW_CONFIDENCE_METHODS"]

LOW_CONFIDENCE_METHODS: Mapping[str, type[LowConfidence]] = {
    "naive_bayes": NaiveBayesConfidence,
    "logistic": LogisticConfidence,
}
"""Methods of `low_confidence_selector` by name."""
