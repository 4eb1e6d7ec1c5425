"""What embeds texts, whichever library runs the model."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING, NamedTuple, Protocol

if TYPE_CHECKING:
    import numpy as np
    from numpy.typing import NDArray

__all__ = ["Encoder", "Window"]


class Window(NamedTuple):
    """A part of a text that is longer than the model's window.

    :param text: the part; the model cuts it where it is longer than the window after all.
    :param tokens: how many tokens of the text it stands for, >= 1.
    """

    text: str
    tokens: int


class Encoder(Protocol):
    """A loaded embedding model.

    The embedding of a text is the same, bit for bit, whatever other texts are embedded with it.
    """

    model: str

    @property
    def width(self) -> int:
        """Return the number of dimensions of an embedding."""
        ...

    def encode(self, texts: Sequence[str], batch_size: int | None = None) -> NDArray[np.float32]:
        """Embed texts; what does not fit in the model's window is cut.

        :param texts: n texts; an empty text is allowed.
        :param batch_size: maximum number of texts that are embedded at the same time on a CPU; None: the encoder
            chooses.
        :return: (n, width) float32, rows of unit norm.
        """
        ...

    def windows(self, texts: Sequence[str]) -> Mapping[int, Sequence[Window]]:
        """Divide the texts that are longer than the model's window.

        :param texts: texts.
        :return: by the position of each such text, its windows in order, two at least. The first is embedded as the
            whole text is.
        """
        ...
