"""Rows with ids and embeddings, as centroids are fitted on them."""

from __future__ import annotations

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING, ROW_ID
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.jobs.identified_rows import LocalIdentifiedRows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.recipe_runs import make_dataset

READER = SampleReader("grouper", resolve_format("auto", ["instruction", "output"]), EncoderSettings("none"))


@pytest.mark.parametrize("drops", [False, True])
def test_centroids_are_fitted_on_the_readable_rows_with_the_lowest_ids(drops):
    vectors = np.array([[1, 0], [0, 0], [0, 1], [-1, 0]], dtype=np.float32)
    rows = [
        {"instruction": f"Do {row_id}.", "output": "Done.", ROW_ID: row_id, EMBEDDING: text}
        for row_id, text in zip("cabd", encode_vectors(vectors), strict=True)
    ]
    identified, found = LocalIdentifiedRows.of(make_dataset(rows), READER, drops_unreadable=drops)
    assert found.unreadable == 1
    assert len(identified.dataset) == (3 if drops else 4)
    # "a" has a zero vector; "b" and "c" are the lowest of the others.
    assert identified.with_lowest_ids(2).tolist() == [[0, 1], [1, 0]]
    assert identified.with_lowest_ids(9).tolist() == [[0, 1], [1, 0], [-1, 0]]
