"""Small sets of rows whose choices are known by hand."""

import numpy as np

X6 = np.array([(1, 0), (0.6, 0.8), (0, 1), (-1, 0), (0, -1), (0.8, 0.6)], dtype=np.float32)
"""Six directions in the plane."""

Q6 = np.array([6, 8, 4, 4, 4, 5], dtype=np.float64)
"""Scores of them."""

Y3 = np.array([(1, 0), (0.95, 0.312250), (0.8, 0.6)], dtype=np.float32)
"""A chain: the first and second, and the second and third, are alike, but not the first and third."""


def directions(rows: int, width: int = 4, seed: int = 0) -> np.ndarray:
    """Return unit vectors, many of which are near each other."""
    found = np.random.default_rng(seed).normal(size=(rows, width)).astype(np.float32)
    return found / np.linalg.norm(found, axis=1, keepdims=True)
