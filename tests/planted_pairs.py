"""Pairs for a model that merges only pairs with short answers well."""

from __future__ import annotations

from typing import Any

import numpy as np

from mergeit_ops.core.vectors import encode_vectors
from tests.llm_server import merge_answer, parents_of

LONG = 30
"""Words of an answer from which on the model fails."""


def planted_rows(pairs: int, seed: int = 0) -> list[dict[str, Any]]:
    """Return two rows for each pair, with embeddings that pair them. Every second pair has long answers."""
    rng = np.random.default_rng(seed)
    vectors = rng.normal(size=(pairs, 64))
    rows = []
    for number in range(pairs):
        words = 40 + number % 7 if number % 2 else 4 + number % 5
        for side in range(2):
            vector = vectors[number] + 0.3 * side * rng.normal(size=64)
            unit = (vector / np.linalg.norm(vector)).astype(np.float32)
            rows.append(
                {
                    "instruction": f"Tell me fact {number} of kind {side}.",
                    "input": "",
                    "output": " ".join(f"word{number}x{side}y{place}" for place in range(words)),
                    "mergeit_embedding": encode_vectors(unit[None])[0],
                }
            )
    return rows


def short_answers_only(body: dict[str, Any]) -> str:
    """Answer like a model that merges rows with short answers well, and says nothing useful about others."""
    parents = parents_of(body)
    if parents and max(len(parent.get("output", "").split()) for parent in parents) >= LONG:
        return "I have nothing to say."
    return str(merge_answer(body))
