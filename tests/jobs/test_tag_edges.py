"""The tags of a dataset that are alike."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from mergeit_ops.core.columns import BATCH_META
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs import tag_edges as module
from mergeit_ops.jobs.fields import Field
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.row_facts import FactReader
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.tag_edges import tag_edges
from tests.recipe_runs import make_dataset

ANGLES = {"cat": 0.0, "kitten": 0.2, "dog": 1.0, "数学": 3.0}


class Directions(EncoderSettings):
    """Gives each tag a direction in the plane."""

    def embed(self, texts: Iterable[str]):
        angles = np.array([ANGLES[text] for text in texts])
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


def edges(rows, similarity=0.9):
    reader = SampleReader("op", resolve_format("query_response", ["query", "response"]), Directions("none"))
    tags = FactReader(reader, frozenset({"tags"}), {"tags": Field("tags")}, {"tags": ("tags_key", "tags")})
    return tag_edges(LocalRows(make_dataset(rows)), tags, similarity)


FLAT = [{"query": "x", "tags": tags} for tags in (["kitten", "dog"], ["cat"], [], ["数学", "cat"])]


def test_each_pair_comes_once_by_name_with_its_cosine():
    assert edges(FLAT) == (("cat", "kitten", pytest.approx(np.cos(0.2), abs=1e-6)),)
    assert [pair[:2] for pair in edges(FLAT, 0.5)] == [("cat", "dog"), ("cat", "kitten"), ("dog", "kitten")]
    assert edges(FLAT[1:2]) == ()


def test_tags_of_topics_are_those_of_their_samples():
    topics = [
        {"tags": [["kitten", "dog"], ["cat"]], BATCH_META: {"topic_id": 0, "batch_size": 2}},
        {"tags": [[], ["数学", "cat"]], BATCH_META: {"topic_id": 1, "batch_size": 2}},
    ]
    assert edges(topics) == edges(FLAT)


def test_too_many_tags_to_compare_are_a_sentence(monkeypatch):
    monkeypatch.setattr(module, "MOST_TAGS", 3)
    with pytest.raises(DatasetError, match=r"op: there are 4 tags.*at most 3;.*edge_similarity to null"):
        edges(FLAT)
