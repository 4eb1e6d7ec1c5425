"""Scored rows, an encoder without a model, and settings that train in no time."""

import hashlib
import random
from collections.abc import Sequence

import numpy as np

from mergeit_ops.core.sample import Sample
from mergeit_ops.scorers.distilled_training import (
    ScoredRow,
    TrainingSettings,
)

CHEAP = TrainingSettings(trees=20)


class HashEncoder:
    """Unit vectors that depend on the text alone, without a model."""

    model = "tests/hash-encoder"
    width = 6

    def encode(self, texts: Sequence[str], batch_size: int = 32) -> np.ndarray:
        vectors = np.array([self._vector(text) for text in texts], dtype=np.float32).reshape(len(texts), self.width)
        return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)

    def _vector(self, text: str) -> np.ndarray:
        seed = int.from_bytes(hashlib.sha256(text.encode()).digest()[:8], "big")
        return np.random.default_rng(seed).normal(size=self.width)


def scored_rows(count: int = 80) -> list[ScoredRow]:
    rng = random.Random(3)
    vocabulary = "river stone the cloud a maple wander bright of seldom garden and quiet harbour under lantern"
    words = vocabulary.split()
    rows = []
    for number in range(count):
        length = rng.randint(1, 60)
        output = " ".join(rng.choice(words) for _ in range(length)) + "."
        kind = "merged" if number % 4 == 0 else "original"
        rows.append(ScoredRow(Sample(f"Task {number}", "", output), 1.0 + 5 * length / 60, kind))
    return rows
