"""Readable names of trainings."""

from __future__ import annotations

from collections.abc import Mapping

from mergeit_ops.training.plan import RANDOM, RANDOM_2X, SET, SWAPPED
from mergeit_ops.training.results import RunKey

__all__ = ["CONTROL_NAMES", "name_of"]

CONTROL_NAMES: Mapping[str, str] = {
    RANDOM: "random rows",
    RANDOM_2X: "twice the random rows",
    SWAPPED: "half the answers swapped",
}


def name_of(key: RunKey, sets: Mapping[str, str]) -> str:
    """Return the readable name of a training.

    :param key: key of the training.
    :param sets: name of each set, by its digest.
    """
    what = sets[key.digest] if key.role == SET else CONTROL_NAMES[key.role]
    return f"draw {key.draw + 1}, seed {key.seed + 1}, {what}"
