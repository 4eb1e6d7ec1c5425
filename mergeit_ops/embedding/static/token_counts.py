"""Texts as counts of their tokens and of pairs of successive tokens."""

from __future__ import annotations

from collections.abc import Sequence
from functools import cached_property
from typing import TYPE_CHECKING, Any

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.core.text.characters import encodable

if TYPE_CHECKING:
    from scipy.sparse import csr_matrix

__all__ = ["TokenCounts"]


class TokenCounts:
    """Counts tokens and pairs of tokens.

    :param tokenizer: a tokenizer in the JSON of the library tokenizers.
    :param pairs: (p,) int64, ascending: the pairs to count, each as `first * num_tokens + second`.
    """

    def __init__(self, tokenizer: str, pairs: NDArray[np.int64]) -> None:
        self.tokenizer = tokenizer
        self.pairs = pairs

    @cached_property
    def _tokenizer(self) -> Any:
        from tokenizers import Tokenizer

        made = Tokenizer.from_str(self.tokenizer)
        made.no_padding()
        made.no_truncation()
        return made

    @cached_property
    def num_tokens(self) -> int:
        """Return the size of the vocabulary."""
        return int(self._tokenizer.get_vocab_size(with_added_tokens=True))

    def tokens(self, texts: Sequence[str]) -> list[list[int]]:
        """Return the tokens of each text, including the tokens that mark its ends, because the first word of a request
        is informative."""
        found = self._tokenizer.encode_batch_fast(list(map(encodable, texts)), add_special_tokens=True)
        return [one.ids for one in found]

    def of(self, texts: Sequence[str]) -> csr_matrix:
        """Return the square root of each count, because a word that occurs ten times says little more than one that
        occurs once.

        :param texts: n texts.
        :return: (n, num_tokens + p) float32, with ascending columns in each row.
        """
        return self.of_tokens(self.tokens(texts))

    def of_tokens(self, tokens: Sequence[Sequence[int]]) -> csr_matrix:
        """Do the same as `of` for texts that are tokens already."""
        from scipy.sparse import csr_matrix

        flat = np.fromiter((token for text in tokens for token in text), np.int64)
        rows = np.repeat(np.arange(len(tokens)), [len(text) for text in tokens])
        followed = np.flatnonzero(rows[:-1] == rows[1:])
        found = flat[followed] * self.num_tokens + flat[followed + 1]
        places = np.searchsorted(self.pairs, found)
        places[places == len(self.pairs)] = 0
        known = self.pairs[places] == found if len(self.pairs) else np.zeros(len(found), dtype=bool)
        columns = np.concatenate([flat, self.num_tokens + places[known]])
        all_rows = np.concatenate([rows, rows[followed[known]]])
        shape = (len(tokens), self.num_tokens + len(self.pairs))
        counts = csr_matrix((np.ones(len(columns), dtype=np.float32), (all_rows, columns)), shape=shape)
        counts.sum_duplicates()
        counts.sort_indices()
        np.sqrt(counts.data, out=counts.data)
        return counts
