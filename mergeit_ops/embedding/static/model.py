"""A fitted model of static token vectors, in memory and as a file."""

from __future__ import annotations

import hashlib
import io
import re
from dataclasses import dataclass
from functools import cached_property

import numpy as np
from numpy.typing import NDArray

__all__ = ["StaticModel", "is_fitted"]

_NAME = re.compile(r"static-[0-9a-f]{16}")
_DIGITS = 16  # of the hash: 64 bits are enough for the few models of a machine


def is_fitted(model: str) -> bool:
    """Return whether a name belongs to a fitted model.

    :param model: a name in a recipe or a record.
    """
    return _NAME.fullmatch(model) is not None


@dataclass(frozen=True)
class StaticModel:
    """Vectors of tokens and of pairs of tokens. It takes a few dozen MB, and is sent to the workers of a cluster.

    :param tokenizer: the tokenizer's JSON as UTF-8 bytes in a (b,) uint8 array, which can be sent without a copy.
    :param pairs: (p,) int64, ascending; see `TokenCounts`.
    :param vectors: (v + p, d) float16: the vectors of the v tokens, then those of the pairs. The embedding of a text is
        the direction of the sum of its vectors, each weighted by the square root of its count.
    """

    tokenizer: NDArray[np.uint8]
    pairs: NDArray[np.int64]
    vectors: NDArray[np.float16]

    @cached_property
    def name(self) -> str:
        """Return the name: `static-` and a hash of everything that affects a vector."""
        digest = hashlib.sha256(repr((self.vectors.shape, len(self.pairs))).encode())
        for values in (self.tokenizer, self.pairs, self.vectors):
            digest.update(np.ascontiguousarray(values).tobytes())
        return f"static-{digest.hexdigest()[:_DIGITS]}"

    def to_bytes(self) -> bytes:
        """Return the model as the content of a file."""
        file = io.BytesIO()
        np.savez(file, tokenizer=self.tokenizer, pairs=self.pairs, vectors=self.vectors)
        return file.getvalue()

    @classmethod
    def of_bytes(cls, content: bytes) -> StaticModel:
        """Return the model of a file's content.

        :raises ValueError: if it is not a model, or is incomplete.
        """
        try:
            with np.load(io.BytesIO(content), allow_pickle=False) as arrays:
                return cls(arrays["tokenizer"], arrays["pairs"], arrays["vectors"])
        except Exception as error:  # the exception of NumPy or zipfile depends on where the content is cut off
            raise ValueError(f"not a static model ({type(error).__name__}: {error})") from error
