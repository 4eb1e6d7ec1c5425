"""How a student is trained: everything that changes a loss, as plain data."""

from __future__ import annotations

import hashlib
import json
from collections.abc import Mapping
from dataclasses import asdict, dataclass
from typing import Any

__all__ = ["LEARNING_RATES", "TRAINED", "FineTuningSettings", "experiment_id"]

TRAINED = ("top", "lora", "full")
"""What of a student is trained: its upper layers, low-rank adapters of all linear layers, or all of it."""

LEARNING_RATES: Mapping[str, float] = {"top": 3e-4, "lora": 5e-4, "full": 5e-5}


@dataclass(frozen=True)
class FineTuningSettings:
    """How a student is trained.

    :param trained: one of `TRAINED`.
    :param layers: for `top`: how many layers; 0: a quarter of them, rounded up.
    :param lora_rank: for `lora`: rank of the adapters; their alpha is twice as large.
    :param learning_rate: of AdamW at its highest; it rises over the first tenth of the steps, then falls linearly.
    :param epochs: how often each drawn row is seen.
    :param step_tokens: answer tokens of a step, about. Sets of equal tokens have equally many steps.
    :param max_length: tokens of a text at most.
    """

    trained: str = "top"
    layers: int = 0
    lora_rank: int = 16
    learning_rate: float = LEARNING_RATES["top"]
    epochs: int = 1
    step_tokens: int = 512
    max_length: int = 512

    def as_dict(self) -> dict[str, Any]:
        """Return it as plain data."""
        return asdict(self)


def experiment_id(description: Mapping[str, Any]) -> str:
    """Return a name for everything that the losses of an experiment depend on beside the rows trained on.

    :param description: what JSON can hold.
    """
    return hashlib.sha256(json.dumps(description, sort_keys=True).encode()).hexdigest()[:20]
