"""Embed texts that are longer than a model's window in parts, and average the vectors."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple

import numpy as np

from mergeit_ops.embedding.defaults import MOST_WINDOWS
from mergeit_ops.embedding.encoder import Encoder, Window

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["EmbeddedTexts", "cut_by_count", "embed_texts", "longest_part", "spread"]

_TEXTS_AT_ONCE = 4_096  # texts whose windows and vectors are in memory at the same time
_MOST_CHARACTERS = 100_000  # of a text that are tokenized; about 25,000 tokens of English


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
    :param window: `first`: the first window of a longer text is embedded. `mean`: its windows, up to `MOST_WINDOWS`,
        are embedded, and their vectors are averaged with their tokens as weights. A text that fits has the same vector,
        bit for bit, in both modes.
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

    :param encoder: encoder for the windows after the first.
    :param vectors: (n, width) unit vectors of texts; those of the longer texts are changed in place.
    :param windows: maps the row of each longer text to its windows.
    :param batch_size: see `Encoder.encode`.
    """
    behind = encoder.encode([part.text for parts in windows.values() for part in parts[1:]], batch_size)
    start = 0
    for row, parts in windows.items():
        end = start + len(parts) - 1
        weights = np.array([part.tokens for part in parts], dtype=np.float64)
        total = weights @ np.vstack([vectors[row], behind[start:end]]).astype(np.float64)
        # If the vectors cancel out, their mean has no direction. The vector of the first window is kept then.
        if (norm := np.linalg.norm(total)) > np.finfo(np.float32).eps * weights.sum():
            vectors[row] = total / norm
        start = end


def spread(windows: Sequence[Window]) -> list[Window]:
    """Return the windows to embed: evenly spread ones, including the first and the last.

    :param windows: all windows of a text.
    """
    if len(windows) <= MOST_WINDOWS:
        return list(windows)
    return [windows[round(number * (len(windows) - 1) / (MOST_WINDOWS - 1))] for number in range(MOST_WINDOWS)]


def _excerpt(text: str) -> str:
    """Return the parts of a huge text from which its windows are taken: the beginning, and evenly spread parts."""
    if len(text) <= _MOST_CHARACTERS:
        return text
    size = _MOST_CHARACTERS // MOST_WINDOWS
    starts = (number * (len(text) - size) // (MOST_WINDOWS - 1) for number in range(MOST_WINDOWS))
    return "".join(text[start : start + size] for start in starts)


def cut_by_count(text: str, most: int, count: Callable[[str], int]) -> list[Window]:
    """Cut a text into windows, for a model that gives the number of a text's tokens but not their places.

    :param text: a text.
    :param most: most tokens of a window, >= 1.
    :param count: function that returns the tokens of a text, >= 0, without special tokens.
    :return: its windows, each as long as possible; a single one for a text that fits.
    """
    windows: list[Window] = []
    start = 0
    while start < len(text) or not windows:
        end = longest_part(text, start, most, count)
        windows.append(Window(text[start:end], max(1, count(text[start:end]))))
        start = end
    return windows


def longest_part(text: str, start: int, most: int, count: Callable[[str], int]) -> int:
    """Return the end of the longest part of a text that starts at a place and does not exceed a number of tokens.

    :param text: a text.
    :param start: start of the part.
    :param most: most tokens of the part, >= 1.
    :param count: function that returns the tokens of a text.
    :return: the end, > start unless the text ends there; one character is always taken.
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
