"""One of each group of like samples: which one, and what the record says about the others."""

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING, ROW_ID
from mergeit_ops.core.rows.identity import content_digest
from mergeit_ops.core.vectors import decode_vectors, encode_vectors
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import SemanticDeduplicator, TopicClusterGrouper
from tests.core.selection.toys import Q6, X6, Y3
from tests.recipe_runs import make_dataset


def toy(vectors) -> list[dict]:
    texts = encode_vectors(vectors)
    return [
        {"id": str(i), "instruction": f"Say {i}", "input": "", "output": "x", "grade": Q6[i], EMBEDDING: text}
        for i, text in enumerate(texts)
    ]


def kept(rows, work_dir=None, **parameters) -> list[str]:
    return list(SemanticDeduplicator(work_dir=work_dir, **parameters).run(make_dataset(rows))["id"])


def test_golden_which_of_two_like_samples_is_kept():
    # The cosine of samples 1 and 5 is 0.96.
    assert kept(toy(X6)) == ["0", "1", "2", "3", "4"]
    assert kept(toy(X6[[5, 0, 2, 3, 4, 1]])) == ["0", "1", "2", "3", "4"]
    assert kept(toy(X6), keep="score", score_key="grade") == ["0", "1", "2", "3", "4"]
    assert kept(toy(X6[[1, 5, 2, 3, 4, 0]]), keep="score", score_key="grade") == ["1", "2", "3", "4", "5"]
    assert kept(toy(X6), max_similarity=0.75, keep="hard") == ["0", "2", "3", "4"]
    assert kept(toy(X6), max_similarity=0.75, keep="easy", chain="released") == ["1", "3", "4"]
    assert kept(toy(Y3), max_similarity=0.9, chain="released") == ["0"]
    assert kept(toy(Y3), max_similarity=0.9) == ["0", "2"]


def test_the_record_names_each_dropped_sample_and_the_one_it_was_dropped_for(tmp_path):
    rows = toy(X6)
    kept(rows, work_dir=str(tmp_path))
    record = read_manifests(tmp_path)[-1]
    assert {
        name: record["figures"][name] for name in ("rows_in", "rows_out", "too_alike", "cells", "across_cells")
    } == {
        "rows_in": 6,
        "rows_out": 5,
        "too_alike": 1,
        "cells": 1,
        "across_cells": 0,
    }
    assert record["left_out_for"] == [[content_digest(rows[5]), content_digest(rows[1])]]


def test_a_sample_across_the_border_is_found(tmp_path):
    parameters = {"num_clusters": 5, "max_similarity": 0.75}
    across = kept(toy(X6), work_dir=str(tmp_path), **parameters)
    assert read_manifests(tmp_path)[-1]["figures"]["across_cells"] > 0
    vectors = X6[[int(row) for row in across]]
    assert (vectors @ vectors.T - np.eye(len(vectors))).max() <= 0.75
    assert len(kept(toy(X6), across_cells=False, **parameters)) > len(across)


def test_on_topics_each_is_deduplicated_for_itself(embedded_rows, tmp_path):
    topics = TopicClusterGrouper(num_clusters=4).run(make_dataset(embedded_rows))
    selected = SemanticDeduplicator(0.6, work_dir=str(tmp_path)).run(topics)
    for topic in selected:
        vectors = decode_vectors(topic[EMBEDDING])
        assert (vectors @ vectors.T - np.eye(len(vectors))).max() <= 0.6 + 1e-6
    record = read_manifests(tmp_path)[-1]
    assert len(record["left_out_for"]) == record["figures"]["too_alike"] == 120 - sum(map(len, selected["id"])) > 0
    stay = {row_id for topic in selected[ROW_ID] for row_id in topic}
    assert all(row_id not in stay and other in stay for row_id, other in record["left_out_for"])


def test_a_score_and_keep_score_belong_together():
    for parameters in ({"keep": "score"}, {"score_key": "grade"}):
        with pytest.raises(RecipeError, match="`keep: score` needs a score_key"):
            SemanticDeduplicator(**parameters)
