"""Each distinct text is embedded once."""

import numpy as np

from mergeit_ops.embedding.distinct import encode_distinct


def test_each_text_is_embedded_once_and_stands_where_it_was():
    seen = []

    def encode(texts):
        seen.extend(texts)
        return np.array([[len(text)] for text in texts], dtype=np.float32)

    assert encode_distinct(["aa", "b", "aa", "ccc", "b"], 1, encode).tolist() == [[2], [1], [2], [3], [1]]
    assert seen == ["aa", "b", "ccc"]


def test_no_text_is_never_encoded():
    assert encode_distinct([], 7, lambda texts: 1 / 0).shape == (0, 7)
