"""Fitting static token vectors to what another model makes of some texts.

In closed form, without epochs or a learning rate: the vectors that the other model gives to each token alone are turned
to where its vectors of whole texts are, and what is left is explained by the tokens and pairs of tokens that the texts
have, by ridge regression. A linear system of as many unknowns as texts is solved, whatever the size of the vocabulary.
"""

from __future__ import annotations

from collections.abc import Sequence

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.embedding.static.model import StaticModel
from mergeit_ops.embedding.static.token_counts import TokenCounts

__all__ = ["METHOD", "fit"]

METHOD = 1
"""Number of this way of fitting: models of another one are fitted anew."""

_RARE = 0.01  # a token of this share of all has half the weight of a rare one (SIF)
_PAIR_WEIGHT = 0.3  # of that of a rare token
_LEAST_TEXTS_OF_PAIR = 2
_MOST_PAIRS = 20_000
_RIDGE_OF_TURN = 1.0
_RIDGE = 0.1  # more of it gives higher cosines to the other model on unseen texts, but worse selections


def fit(tokenizer: str, alone: NDArray[np.float32], texts: Sequence[str], known: NDArray[np.float32]) -> StaticModel:
    """Fit token vectors.

    The result depends on the order of the texts in its last digits, and on nothing else: one thread computes it.

    :param tokenizer: of the other model, as JSON.
    :param alone: (v, d) unit vectors that the other model gives to each token alone; zero where they are not known.
    :param texts: n different texts, n >= 1. The linear system takes n * n numbers of memory.
    :param known: (n, d) unit vectors that the other model gives to them.
    """
    # Libraries that are loaded later are not limited.
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
    """Return the pairs that come in several texts, the most frequent ones if there are too many."""
    ids = (np.asarray(text, dtype=np.int64) for text in tokens)
    parts = [np.unique(text[:-1] * num_tokens + text[1:]) for text in ids]
    pairs, texts = np.unique(np.concatenate(parts), return_counts=True)
    kept = np.flatnonzero(texts >= _LEAST_TEXTS_OF_PAIR)
    kept = kept[np.argsort(-texts[kept], kind="stable")[:_MOST_PAIRS]]
    return np.sort(pairs[kept]).astype(np.int64)
