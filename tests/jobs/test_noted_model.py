"""The model that a grouper has noted."""

import pytest

from mergeit_ops.core.columns import BATCH_META
from mergeit_ops.dataset.topics import EMBEDDING_MODEL
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.noted_model import noted_model
from tests.recipe_runs import make_dataset


def topic(**noted):
    return {"instruction": ["a"], "output": ["x"], BATCH_META: {"topic_id": 0, **noted}}


@pytest.mark.parametrize(
    ("topics", "expected"),
    [
        ([topic(**{EMBEDDING_MODEL: "m"}), topic(**{EMBEDDING_MODEL: "m"})], "m"),
        ([topic(), topic(**{EMBEDDING_MODEL: "m"})], "m"),
        ([topic()], None),
        ([{"instruction": ["a"], "output": ["x"]}], None),
    ],
)
def test_the_model_is_told_where_it_is_noted(topics, expected):
    assert noted_model(LocalRows(make_dataset(topics))) == expected
