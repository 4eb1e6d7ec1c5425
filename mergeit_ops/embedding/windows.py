"""Texts that are longer than the window of a model: embedded in parts, whose vectors are averaged."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mergeit_ops.embedding.defaults import MOST_WINDOWS
from mergeit_ops.embedding.encoder import Encoder, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EmbeddedTexts", "cut_by_count", "embed_texts", "longest_part", "spread"]

_TEXTS_AT_ONCE = 4_096  # whose windows, texts and vectors, are held in memory
_MOST_CHARACTERS = 100_000  # of a text that are tokenized; some 25,000 tokens of English


class EmbeddedTexts(NamedTuple):
    """Embeddings of texts.

    :param vectors: (n, width) float32, rows of unit norm.
    :param longer: number of texts that were longer than the model's window.
    """

    vectors: NDArray[np.float32]
    longer: int


def embed_texts(encoder: Encoder, texts: Sequence[str], batch_size: int | None, window: str) -> EmbeddedTexts:
    """Embed texts, and count those that do not fit in the model's window.

    :param encoder: the model.
    :param texts: n texts.
    :param batch_size: see `Encoder.encode`.
    :param window: `first`: of a longer text the first window is embedded. `mean`: all of its windows, up to
        `MOST_WINDOWS`, are embedded, and their vectors averaged, each weighted by its tokens. The vectors of texts that
        fit are the same bits in both.
    """
    vectors = encoder.encode(texts, batch_size)
    longer = 0
    for start in range(0, len(texts), _TEXTS_AT_ONCE):
        windows = encoder.windows([_excerpt(text) for text in texts[start : start + _TEXTS_AT_ONCE]])
        longer += len(windows)
        if window == "mean" and windows:
            found = {start + row: spread(parts) for row, parts in windows.items()}
            _average(encoder, vectors, found, batch_size)
    return EmbeddedTexts(vectors, longer)


def _average(
    encoder: Encoder, vectors: NDArray[np.float32], windows: Mapping[int, Sequence[Window]], batch_size: int | None
) -> None:
    """Replace the vectors of first windows by the means of all windows.

    :param encoder: embeds the windows behind the first.
    :param vectors: (n, width) unit vectors of texts; those of the longer ones are changed.
    :param windows: by the row of each longer text, its windows.
    :param batch_size: see `Encoder.encode`.
    """
    behind = encoder.encode([part.text for parts in windows.values() for part in parts[1:]], batch_size)
    start = 0
    for row, parts in windows.items():
        end = start + len(parts) - 1
        weights = np.array([part.tokens for part in parts], dtype=np.float64)
        total = weights @ np.vstack([vectors[row], behind[start:end]]).astype(np.float64)
        # Vectors that cancel out have no direction: the first window then stands for the text.
        if (norm := np.linalg.norm(total)) > np.finfo(np.float32).eps * weights.sum():
            vectors[row] = total / norm
        start = end


def spread(windows: Sequence[Window]) -> list[Window]:
    """Return as many windows as are embedded, the first and the last among them, at even distances.

    :param windows: all windows of a text.
    """
    if len(windows) <= MOST_WINDOWS:
        return list(windows)
    return [windows[round(number * (len(windows) - 1) / (MOST_WINDOWS - 1))] for number in range(MOST_WINDOWS)]


def _excerpt(text: str) -> str:
    """Return the parts of a huge text that its windows are taken from: its beginning, and others evenly spread."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    size = _MOST_CHARACTERS // MOST_WINDOWS
    starts = (number * (len(text) - size) // (MOST_WINDOWS - 1) for number in range(MOST_WINDOWS))
    return "".join(text[start : start + size] for start in starts)


def cut_by_count(text: str, most: int, count: Callable[[str], int]) -> list[Window]:
    """Cut a text into windows, for a model that tells the number of tokens of a text but not where they are.

    :param text: a text.
    :param most: tokens that a window may have, >= 1.
    :param count: tokens of a text, >= 0, those of special tokens left out.
    :return: its windows, each as long as it can be; one of them for a text that fits.
    """
    windows: list[Window] = []
    start = 0
    while start < len(text) or not windows:
        end = longest_part(text, start, most, count)
        windows.append(Window(text[start:end], max(1, count(text[start:end]))))
        start = end
    return windows


def longest_part(text: str, start: int, most: int, count: Callable[[str], int]) -> int:
    """Return where the longest part of a text ends that begins at a place and has no more tokens than some.

    :param text: a text.
    :param start: where it begins.
    :param most: tokens that it may have, >= 1.
    :param count: tokens of a text.
    :return: > start, unless the text ends there: one character is taken whatever it counts.
    """
    fits, end = start + 1, start + most
    while end < len(text) and count(text[start:end]) <= most:
        fits, end = end, start + 2 * (end - start)
    end = min(end, len(text))
    if count(text[start:end]) <= most:
        return max(end, fits)
    while end - fits > 1:
        middle = (fits + end) // 2
        if count(text[start:middle]) <= most:
            fits = middle
        else:
            end = middle
    return fits
