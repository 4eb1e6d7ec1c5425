"""Processors for `generate` of transformers that draw and end each row of a batch separately."""

from __future__ import annotations

import random
from collections.abc import Callable, Sequence
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    import torch

__all__ = ["Draw", "Ends"]

# Just below 1, so that rounding never picks a token with probability 0.
_HIGHEST = 1 - 1e-6


class Draw:
    """Draws the next tokens, with separate random numbers for each row.

    So a row does not depend on the other rows of its batch, and rows may have different seeds. As a logits processor it
    leaves one token per row, which greedy search then takes.

    :param warpers: logits processors before the draw, such as temperature and top-k.
    :param seeds: seeds of the rows; with None, each draw is different.
    """

    def __init__(self, warpers: Sequence[Callable[..., torch.Tensor]], seeds: Sequence[int | None]) -> None:
        self._warpers = warpers
        self._sources = [random.Random(seed) for seed in seeds]

    def __call__(self, input_ids: torch.Tensor, scores: torch.Tensor) -> torch.Tensor:
        """Return scores with one finite value in each row, at the token drawn.

        :param input_ids: tokens so far, one row each.
        :param scores: scores of the possible next tokens.
        """
        import torch

        for warp in self._warpers:
            scores = warp(input_ids, scores)
        ladder = torch.softmax(scores, dim=-1, dtype=torch.float32).cumsum(dim=-1)
        draws = [[min(source.random(), _HIGHEST)] for source in self._sources]
        heights = torch.tensor(draws, dtype=torch.float32, device=scores.device) * ladder[:, -1:]
        drawn = (ladder <= heights).sum(dim=-1, keepdim=True).clamp(max=scores.shape[-1] - 1)
        return torch.full_like(scores, -torch.inf).scatter(1, drawn, 0.0)


class Ends:
    """Ends each row at its end token, its stop text or its limit, and records its length.

    :param limits: most new tokens of each row.
    :param end_ids: tokens that end a row.
    :param stop: criterion of transformers for stop texts; None without stop texts.
    :param device: device of the tokens.
    """

    def __init__(
        self, limits: Sequence[int], end_ids: Sequence[int], stop: Callable[..., torch.Tensor] | None, device: Any
    ) -> None:
        import torch

        self.lengths = torch.zeros(len(limits), dtype=torch.long, device=device)
        self._done = torch.zeros(len(limits), dtype=torch.bool, device=device)
        self._limits = torch.tensor(list(limits), device=device)
        self._end_ids = torch.tensor(list(end_ids), dtype=torch.long, device=device)
        self._stop = stop

    def __call__(self, input_ids: torch.Tensor, scores: Any, **kwargs: Any) -> torch.Tensor:
        """Return which rows have ended.

        :param input_ids: tokens so far, one row each.
        :param scores: not used.
        :param kwargs: not used.
        """
        import torch

        self.lengths += ~self._done
        ended = (self.lengths >= self._limits) | torch.isin(input_ids[:, -1], self._end_ids)
        if self._stop is not None:
            ended = ended | self._stop(input_ids, scores)
        self._done = self._done | ended
        return self._done
