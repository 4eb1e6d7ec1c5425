"""Lazy greedy: the greedy selection of facility location with few recomputed gains."""

from __future__ import annotations

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.selection.method import Selection

_AT_ONCE = 16  # gains recomputed together; usually the first few are enough


def lazy_greedy(similarities: NDArray[np.float32], budget: int, bonus: NDArray[np.float64] | None = None) -> Selection:
    """Choose rows by lazy greedy: a gain is recomputed only while its stale upper bound may be the highest.

    Gains never rise as the set grows. So if the highest fresh gain exceeds all stale ones, its row is the greedy
    choice. The rows with the highest bounds are recomputed together, which takes NumPy hardly longer than one row. Ties
    go to the lowest position.

    :param similarities: (m, n) similarities of the m rows that may be chosen to the n rows to cover; the symmetric
        kernel if all rows may be chosen.
    :param budget: rows to choose, 0 <= budget <= m.
    :param bonus: (m,) what each row adds when it is chosen, at least 0; None: nothing.
    """
    gains = np.array([np.maximum(row, 0).sum(dtype=np.float64) for row in similarities])
    if bonus is not None:
        gains += bonus
    covered = np.zeros(similarities.shape[1], dtype=np.float32)
    indices = np.empty(budget, dtype=np.int64)
    chosen_gains = np.empty(budget, dtype=np.float64)
    for step in range(budget):
        # With the empty set all gains are fresh; later, a bound of 0 is a gain of 0.
        best, at_once = (np.finfo(np.float64).tiny, _AT_ONCE) if step else (np.inf, 0)
        stale = gains.copy()
        while stale.max() >= best:
            top = np.argpartition(stale, -at_once)[-at_once:] if at_once < len(stale) else np.arange(len(stale))
            top = top[stale[top] >= best]
            fresh = similarities[top]
            fresh -= covered
            gains[top] = np.maximum(fresh, 0, out=fresh).sum(axis=1)
            if bonus is not None:
                gains[top] += bonus[top]
            stale[top] = -np.inf
            best = max(best, gains[top].max())
            at_once *= 2
        indices[step] = j = int(gains.argmax())
        chosen_gains[step] = gains[j]
        gains[j] = -np.inf
        np.maximum(covered, similarities[j], out=covered)
    return Selection(indices, chosen_gains)
