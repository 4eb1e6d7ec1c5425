"""The results of a comparison as plain figures for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from typing import Any

from mergeit_ops.compare.measures import known
from mergeit_ops.compare.measuring import Compared, Figures
from mergeit_ops.core.measures.diversity import REDUNDANT_FROM

__all__ = ["FORMAT_VERSION", "as_figures"]

FORMAT_VERSION = 1


def as_figures(found: Compared, made_with: Mapping[str, Any]) -> dict[str, Any]:
    """Return all results in a form that JSON can hold.

    :param found: results of the comparison.
    :param made_with: further settings, such as the models.
    """
    reference = found.reference
    return {
        "format_version": FORMAT_VERSION,
        **made_with,
        "confidence": found.confidence,
        "seed": found.seed,
        "redundant_from": REDUNDANT_FROM,
        "reference": None
        if reference is None
        else {
            "path": str(reference.path),
            "rows": reference.rows,
            "topics": reference.topics,
            "effective_topics": reference.effective_topics,
        },
        "equal_rows": found.equal_rows,
        "files": [
            {
                "path": str(file.path),
                "rows": file.rows,
                "unit": file.unit,
                "left_out": file.left_out,
                "characters": file.characters,
                "scored": file.scored,
                "unscored": file.unscored,
                "measures": _plain(file.values),
                "difference_to_first": _plain(file.differences),
                "at_equal_rows": _plain(file.equal_values),
                "difference_to_first_at_equal_rows": _plain(file.equal_differences),
                "topic_sizes": file.topic_sizes,
            }
            for file in found.files
        ],
    }


def _plain(figures: Figures) -> dict[str, dict[str, float | None]]:
    return {
        key: {"value": known(interval.estimate), "low": interval.low, "high": interval.high}
        for key, interval in figures.items()
    }
