"""Making tags that mean the same one tag."""

from __future__ import annotations

from collections.abc import Iterable

import numpy as np
import pytest

from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs import tag_normalization as module
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.sample_reader import EncoderSettings
from mergeit_ops.jobs.tag_normalization import TagNormalization
from tests.recipe_runs import make_dataset


class Directions(EncoderSettings):
    """Gives each tag the direction of its first letter."""

    def embed(self, texts: Iterable[str]):
        angles = np.array([ord(text[0]) for text in texts], dtype=float)
        return np.stack([np.cos(angles), np.sin(angles)], axis=1).astype(np.float32)


ROWS = [["Cats", "dog"], ["cat", "dog"], ["cat", "rare"], ["couch"], ["couch"], []]


def normalized(rows=ROWS, **parameters):
    dataset = LocalRows(make_dataset([{"text": "x", "tags": tags} for tags in rows]))
    job = TagNormalization("op", "tags", Directions("none"), **parameters)
    names, figures = job.mapping(dataset)
    found, more = job.normalized(dataset, names)
    return found.dataset["tags"], {**figures, **more}


def test_forms_of_a_word_are_one_tag_and_rare_tags_are_dropped():
    tags, figures = normalized(merge_similarity=None)
    assert tags == [["cat", "dog"], ["cat", "dog"], ["cat"], ["couch"], ["couch"], []]
    assert (figures["tags_found"], figures["tags_frequent"], figures["tags_merged"]) == (4, 3, 3)
    assert (figures["rows_in"], figures["rows_out"], figures["untagged"]) == (6, 6, 1)


def test_tags_that_are_alike_take_the_name_of_the_commonest():
    tags, figures = normalized(merge_similarity=0.99)
    assert tags == [["cat", "dog"], ["cat", "dog"], ["cat"], ["cat"], ["cat"], []]
    assert figures["tags_merged"] == 2


def test_a_tag_that_always_comes_with_another_is_implied_by_it():
    rows = [["python", "code"]] * 3 + [["code"]] * 2
    tags, figures = normalized(rows, merge_similarity=None, min_support=3, min_confidence=0.9)
    assert figures["tags_implied"] == 1
    assert tags == [["code"]] * 5


def test_too_many_tags_to_compare_are_a_sentence(monkeypatch):
    monkeypatch.setattr(module, "MOST_TAGS", 2)
    with pytest.raises(DatasetError, match=r"op: 3 tags are left, and at most 2.*merge_similarity to null"):
        normalized()
    normalized(merge_similarity=None)


def test_rows_without_tags_stay_without():
    assert normalized([[], []])[0] == [[], []]
