"""The confidence interval of an observed share."""

from __future__ import annotations

from math import sqrt

__all__ = ["share_interval"]

_Z = 1.959963984540054  # 95 % of a normal distribution are within this


def share_interval(found: int, cases: int) -> tuple[float, float]:
    """Return the 95 % confidence interval of a share, after Wilson (1927).

    :param found: cases with the property, at least 0.
    :param cases: all cases, at least 1.
    :return: lowest and highest share, in [0, 1].
    """
    share, z2 = found / cases, _Z**2
    middle = share + z2 / (2 * cases)
    spread = _Z * sqrt(share * (1 - share) / cases + z2 / (4 * cases**2))
    scale = 1 + z2 / cases
    # Rounding must not exclude the observed share.
    return min(share, max(0.0, (middle - spread) / scale)), max(share, min(1.0, (middle + spread) / scale))
