"""Fit static token vectors to another model's embeddings of some texts.

The fit has a closed form, without epochs or a learning rate. The other model's vectors of single tokens are rotated
toward its vectors of whole texts. A ridge regression then explains the rest by the tokens and pairs of tokens in the
texts. It solves a linear system with one unknown per text, whatever the size of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.embedding.static.model import StaticModel
from mergeit_ops.embedding.static.token_counts import TokenCounts

__all__ = ["METHOD", "fit"]

METHOD = 1
"""Version of the fit. Models of another version are fitted again."""

_RARE = 0.01  # a token with this share of all tokens has half the weight of a rare one (SIF)
_PAIR_WEIGHT = 0.3  # relative to the weight of a rare token
_LEAST_TEXTS_OF_PAIR = 2
_MOST_PAIRS = 20_000
_RIDGE_OF_TURN = 1.0
_RIDGE = 0.1  # a larger value gives higher cosines to the other model on unseen texts, but worse selections


def fit(tokenizer: str, alone: NDArray[np.float32], texts: Sequence[str], known: NDArray[np.float32]) -> StaticModel:
    """Fit token vectors.

    The order of the texts changes only the last digits of the result. One thread computes it, so nothing else changes
    it.

    :param tokenizer: tokenizer of the other model, as JSON.
    :param alone: (v, d) the other model's unit vectors of single tokens; zero if unknown.
    :param texts: n different texts, n >= 1. The linear system takes n * n numbers of memory.
    :param known: (n, d) the other model's unit vectors of the texts.
    """
    # Imported before, because the limit does not apply to libraries that are loaded later.
    import scipy.linalg
    import scipy.sparse  # noqa: F401
    from threadpoolctl import threadpool_limits

    tokens = TokenCounts(tokenizer, np.zeros(0, dtype=np.int64)).tokens(texts)
    counts = TokenCounts(tokenizer, _pairs(tokens, len(alone)))
    with threadpool_limits(limits=1):
        vectors = _vectors(counts, tokens, alone, known)
    as_bytes = np.frombuffer(tokenizer.encode(), dtype=np.uint8)
    return StaticModel(as_bytes, counts.pairs, vectors.astype(np.float16))


def _vectors(
    counts: TokenCounts, tokens: Sequence[Sequence[int]], alone: NDArray[np.float32], known: NDArray[np.float32]
) -> NDArray[np.float32]:
    from scipy.linalg import cho_factor, cho_solve
    from scipy.sparse import diags

    frequency = np.bincount(np.fromiter((token for text in tokens for token in text), np.int64), minlength=len(alone))
    rarity = _RARE / (_RARE + frequency / max(1, frequency.sum()))
    weights = np.concatenate([rarity, np.full(len(counts.pairs), _PAIR_WEIGHT)]).astype(np.float32)
    rows = counts.of_tokens(tokens) @ diags(weights)
    lengths = np.sqrt(np.asarray(rows.multiply(rows).sum(axis=1)).ravel())
    rows = (diags((1 / np.where(lengths > 0, lengths, 1)).astype(np.float32)) @ rows).tocsr()

    turned = np.zeros((len(weights), known.shape[1]), dtype=np.float32)
    turned[: len(alone)] = alone @ _ridge(rows[:, : len(alone)] @ alone, known)
    left = known - rows @ turned
    kernel = (rows @ rows.T).toarray()
    kernel[np.diag_indices_from(kernel)] += _RIDGE
    factor = cho_factor(kernel, lower=True, overwrite_a=True, check_finite=False)
    return weights[:, None] * (turned + rows.T @ cho_solve(factor, left, check_finite=False))


def _ridge(given: NDArray[np.float32], wanted: NDArray[np.float32]) -> NDArray[np.float32]:
    square = given.T @ given + _RIDGE_OF_TURN * np.eye(given.shape[1], dtype=np.float32)
    solved: NDArray[np.float32] = np.linalg.solve(square, given.T @ wanted)
    return solved


def _pairs(tokens: Sequence[Sequence[int]], num_tokens: int) -> NDArray[np.int64]:
    """Return the pairs that occur in several texts; only the most frequent ones if there are too many."""
    ids = (np.asarray(text, dtype=np.int64) for text in tokens)
    parts = [np.unique(text[:-1] * num_tokens + text[1:]) for text in ids]
    pairs, texts = np.unique(np.concatenate(parts), return_counts=True)
    kept = np.flatnonzero(texts >= _LEAST_TEXTS_OF_PAIR)
    kept = kept[np.argsort(-texts[kept], kind="stable")[:_MOST_PAIRS]]
    return np.sort(pairs[kept]).astype(np.int64)
