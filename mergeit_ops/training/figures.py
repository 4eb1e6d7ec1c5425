"""The results of an experiment as plain figures for JSON."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import asdict
from typing import Any

from mergeit_ops.core.training_effect.crossed_mean import CrossedMean
from mergeit_ops.training.encoded_sets import EncodedSet
from mergeit_ops.training.summary import Found, Measured

__all__ = ["FORMAT_VERSION", "as_figures"]

FORMAT_VERSION = 1


def as_figures(found: Found, made_with: Mapping[str, Any]) -> dict[str, Any]:
    """Return all results in a form that JSON can hold.

    :param found: results of the experiment.
    :param made_with: description of the experiment.
    """
    return {
        "format_version": FORMAT_VERSION,
        "experiment": dict(made_with),
        "confidence": found.confidence,
        "repeats": found.repeats,
        "trainings": found.trainings,
        "left": found.left,
        "sight": None if found.sight is None else asdict(found.sight),
        "base": dict(found.base),
        "random": dict(found.random),
        "controls": {role: _measured(measured) for role, measured in found.controls.items()},
        "sets": [
            {
                "name": one.name,
                "files": [_file(own) for own in one.of],
                "verdict": asdict(one.verdict),
                "worth": {name: None if worth is None else asdict(worth) for name, worth in one.worth.items()},
                **({} if one.measured is None else _measured(one.measured)),
            }
            for one in found.sets
        ],
    }


def _file(one: EncodedSet) -> dict[str, Any]:
    return {
        "path": str(one.read.path),
        "digest": one.read.digest,
        "rows": one.read.rows,
        "without_text": one.read.without_text,
        "asks_held_out": one.read.asks_held_out,
        "more_than_text": one.read.more_than_text,
        "too_long": one.too_long,
        "cut": one.cut,
        "calls_lost": one.calls_lost,
        "answer_tokens": one.answer_tokens,
    }


def _measured(measured: Measured) -> dict[str, Any]:
    return {
        "draws": measured.draws,
        "losses": dict(measured.losses),
        "difference_to_random": {name: _interval(mean) for name, mean in measured.differences.items()},
        "power": {name: asdict(power) for name, power in measured.power.items()},
        "training": dict(measured.facts),
    }


def _interval(mean: CrossedMean) -> dict[str, float | None]:
    return {"value": mean.estimate, "low": mean.low, "high": mean.high}
