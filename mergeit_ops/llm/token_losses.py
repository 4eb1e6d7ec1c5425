"""Losses of single tokens, from logits or from the states before a model's head."""

from __future__ import annotations

import math
from typing import Any

__all__ = ["block_losses", "logit_losses"]

_WORDS_AT_ONCE = 4_096
_POSITIONS_AT_ONCE = 320


def logit_losses(logits: Any, targets: Any, surprise: bool) -> tuple[Any, Any | None]:
    """Return the loss of each target and, if wanted, its surprise; see `LossModel.losses`.

    :param logits: (m, V) float32.
    :param targets: (m,) token ids.
    :param surprise: whether the surprise is wanted; otherwise it is None.
    """
    import torch
    from torch.nn.functional import cross_entropy

    if not surprise:
        return cross_entropy(logits, targets, reduction="none"), None
    logs = logits.log_softmax(-1)
    loss = -logs.gather(1, targets[:, None])[:, 0]
    # A word of probability 0 adds 0 to the entropy, not NaN.
    entropy = -(logs.exp() * logs.clamp(min=torch.finfo(logs.dtype).min)).sum(dim=-1)
    sure = (1 - entropy / math.log(logits.shape[-1])).clamp(min=0)
    return loss, loss.sigmoid() * sure


def block_losses(states: Any, weight: Any, bias: Any | None, targets: Any) -> Any:
    """Return the loss of each target, computing the logits of some words at a time.

    On a CPU this takes half to three quarters of the time of all logits at once, because the logits of a block stay in
    its caches.

    :param states: (m, d) states before the head.
    :param weight: (V, d) weights of the head.
    :param bias: (V,) bias of the head, if it has one.
    :param targets: (m,) token ids.
    :return: (m,) float32.
    """
    import torch

    parts = zip(states.split(_POSITIONS_AT_ONCE), targets.split(_POSITIONS_AT_ONCE), strict=True)
    return torch.cat([_block_losses(part, weight, bias, target) for part, target in parts])


def _block_losses(states: Any, weight: Any, bias: Any | None, targets: Any) -> Any:
    import torch
    from torch.nn.functional import linear

    sums = []
    wanted = torch.empty(len(states), dtype=torch.float32, device=states.device)
    for first in range(0, len(weight), _WORDS_AT_ONCE):
        words = slice(first, first + _WORDS_AT_ONCE)
        logits = linear(states, weight[words], None if bias is None else bias[words]).float()
        here = (targets >= first) & (targets < first + _WORDS_AT_ONCE)
        wanted[here] = logits[here, targets[here] - first]
        highest = logits.amax(-1, keepdim=True)
        sums.append(logits.sub_(highest).exp_().sum(-1).log_() + highest[:, 0])
    return torch.stack(sums).logsumexp(0) - wanted
