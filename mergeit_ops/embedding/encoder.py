"""The interface of embedding models, for all libraries."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Encoder", "Window"]


class Window(NamedTuple):
    """A part of a text that is longer than the model's window.

    :param text: the part. If it is longer than the window after all, the model cuts it.
    :param tokens: number of the text's tokens that it represents, >= 1.
    """

    text: str
    tokens: int


class Encoder(Protocol):
    """A loaded embedding model.

    The embedding of a text is the same, bit for bit, with any other texts.
    """

    model: str

    @property
    def width(self) -> int:
        """Return the number of dimensions of an embedding."""
        ...

    def encode(self, texts: Sequence[str], batch_size: int | None = None) -> NDArray[np.float32]:
        """Embed texts; a text that exceeds the model's window is cut.

        :param texts: n texts; an empty text is allowed, and half a surrogate pair counts as a question mark.
        :param batch_size: most texts that are embedded at the same time on a CPU; None: the encoder chooses.
        :return: (n, width) float32, rows of unit norm.
        """
        ...

    def windows(self, texts: Sequence[str]) -> Mapping[int, Sequence[Window]]:
        """Divide the texts that are longer than the model's window.

        :param texts: texts.
        :return: maps the position of each longer text to its windows in order, at least two. The first window has the
            same embedding as the whole text.
        """
        ...
