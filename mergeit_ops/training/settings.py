"""The settings of a training that change its loss."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LEARNING_RATES", "TRAINED", "FineTuningSettings", "experiment_id"]

TRAINED = ("top", "lora", "full")
"""The trained part of a student: its upper layers, low-rank adapters of all linear layers, or all weights."""

LEARNING_RATES: Mapping[str, float] = {"top": 3e-4, "lora": 5e-4, "full": 5e-5}


@dataclass(frozen=True)
class FineTuningSettings:
    """How a student is trained.

    :param trained: one of `TRAINED`.
    :param layers: number of trained layers for `top`; 0: a quarter of all layers, rounded up.
    :param lora_rank: rank of the adapters for `lora`; their alpha is twice the rank.
    :param learning_rate: highest learning rate of AdamW. It rises over the first tenth of the steps, then falls
        linearly.
    :param epochs: number of passes over the drawn rows.
    :param step_tokens: approximate number of answer tokens of a step. Sets with equal tokens have equal numbers of
        steps.
    :param max_length: maximum tokens of a text.
    """

    trained: str = "top"
    layers: int = 0
    lora_rank: int = 16
    learning_rate: float = LEARNING_RATES["top"]
    epochs: int = 1
    step_tokens: int = 512
    max_length: int = 512

    def as_dict(self) -> dict[str, Any]:
        """Return the settings as a dictionary."""
        return asdict(self)


def experiment_id(description: Mapping[str, Any]) -> str:
    """Return the id of an experiment: a hash of its description.

    :param description: everything that the losses depend on, except the rows of the sets and pools; in a form that JSON
        can hold.
    """
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:20]
