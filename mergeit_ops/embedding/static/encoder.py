"""Turn texts into unit vectors by adding up the vectors of their tokens."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.embedding.encoder import Window
from mergeit_ops.embedding.static.model import StaticModel
from mergeit_ops.embedding.static.token_counts import TokenCounts

__all__ = ["WINDOW_CHARACTERS", "StaticEncoder", "cut"]

WINDOW_CHARACTERS = 1_024
"""Length of a window: about 256 tokens of English, like the window of the default model."""

_TEXTS_AT_ONCE = 4_096


class StaticEncoder:
    """A model of static token vectors; see `Encoder`.

    The vectors of a text are added up one by one, in the order of the tokens' numbers, so other texts have no
    influence.

    :param model: the fitted model.
    """

    def __init__(self, model: StaticModel) -> None:
        self.model = model.name
        self._counts = TokenCounts(bytes(model.tokenizer).decode(), model.pairs)
        self._fitted = model

    @cached_property
    def _vectors(self) -> NDArray[np.float32]:
        return self._fitted.vectors.astype(np.float32)

    @property
    def width(self) -> int:
        """Return the number of dimensions of an embedding."""
        return int(self._fitted.vectors.shape[1])

    def encode(self, texts: Sequence[str], batch_size: int | None = None) -> NDArray[np.float32]:
        """See `Encoder`; a text is cut after its first window."""
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some = [text[: _end(text, 0)] for text in texts[start : start + _TEXTS_AT_ONCE]]
            vectors[start : start + len(some)] = self._counts.of(some) @ self._vectors
        norms = np.linalg.norm(vectors, axis=1, keepdims=True)
        # A text whose characters the tokenizer drops has no direction, but every text needs one.
        vectors[norms[:, 0] == 0] = self._fallback
        return np.divide(vectors, norms, out=vectors, where=norms > 0)

    @cached_property
    def _fallback(self) -> NDArray[np.float32]:
        return np.eye(1, self.width, dtype=np.float32)[0]

    def windows(self, texts: Sequence[str]) -> Mapping[int, Sequence[Window]]:
        """See `Encoder`; windows are counted in characters, which costs nothing."""
        return {row: cut(text) for row, text in enumerate(texts) if len(text) > WINDOW_CHARACTERS}


def cut(text: str) -> list[Window]:
    """Divide a text into windows, at blanks if possible.

    :param text: a text.
    :return: its windows in order, at least one, each with its number of characters as the weight.
    """
    windows: list[Window] = []
    start = 0
    while start < len(text) or not windows:
        end = _end(text, start)
        windows.append(Window(text[start:end], max(1, end - start)))
        start = end
    # The first window is unchanged, so that it is cut like every text.
    return [Window(text, windows[0].tokens), *windows[1:]]


def _end(text: str, start: int) -> int:
    end = start + WINDOW_CHARACTERS
    if end >= len(text):
        return len(text)
    blank = text.rfind(" ", start + WINDOW_CHARACTERS // 2, end)
    return end if blank < 0 else blank
