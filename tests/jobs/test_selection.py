"""A selection of rows: shares of topics, rows chosen already, and what a method needs."""

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.selection.budget import Budget
from mergeit_ops.core.selection.facility_location import FacilityLocation
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.topics import Topic, topic_table
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.row_facts import RowFacts
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.selection import SelectionJob
from tests.core.selection.toys import X6

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))


def job(budget, **more):
    return SelectionJob(READER, FacilityLocation(), budget, **more)


@pytest.mark.parametrize(
    ("topics", "total", "shares"),
    [([(10, 0), (10, 0)], 10, [5, 5]), ([(10, 4), (10, 0)], 10, None), ([(2, 0), (10, 0)], 12, [2, 10])],
)
def test_a_total_is_split_and_rows_chosen_already_are_part_of_it(topics, total, shares):
    found = job(Budget(total=total)).split(topics)
    assert sum(found) == total
    assert all(chosen <= share <= size for share, (size, chosen) in zip(found, topics, strict=True))
    assert shares is None or found == shares


def test_more_rows_chosen_already_than_the_total_are_refused():
    with pytest.raises(
        DatasetError, match=r"op: 5 of 8 rows are chosen already, because their 'mine' is true, but only 3"
    ):
        job(Budget(total=3), keys={"chosen": ("start_column", "mine")}).split([(4, 3), (4, 2)])


def test_a_flat_choice_keeps_the_rows_that_represent_the_others():
    vectors = np.vstack([X6, np.zeros((1, 2), np.float32)])
    for keeps, kept in ((True, 3), (False, 2)):
        chosen, choice = job(Budget(ratio=1 / 3), keeps_unreadable=keeps).from_all(vectors, RowFacts())
        assert len(set(chosen.tolist())) == choice.kept == kept
        assert (6 in chosen.tolist()) == keeps
        assert {1, 5} & set(chosen.tolist())


def topics():
    columns = {"instruction": list("abcdef"), "output": ["x"] * 6, EMBEDDING: encode_vectors(X6)}
    table = pa.table(columns)
    return topic_table([Topic(0, table.slice(0, 4), {"topic_id": 0}), Topic(5, table.slice(4), {"topic_id": 5})])


def test_each_topic_keeps_its_share_and_says_its_size():
    asked = job(Budget(per_topic=1))
    found, choice = asked.select(topics(), None)
    assert [len(texts) for texts in found["instruction"].to_pylist()] == [1, 1]
    assert (choice.rows, choice.kept) == (6, 2)
    _, sizes = asked.sizes(topics())
    assert sizes == [(0, (4, 0)), (5, (2, 0))]
    found, _ = asked.select(topics(), [3, 2])
    assert [len(texts) for texts in found["instruction"].to_pylist()] == [3, 2]


def test_offers_come_best_first_and_are_taken_as_they_are():
    asked = job(Budget(total=3))
    _, offers = asked.offers(topics(), 3)
    assert [number for number, _ in offers] == [0, 5]
    assert all((np.diff(offer.gains) <= 1e-5).all() for _, offer in offers)
    taken, _ = asked.take(topics(), [offer.indices[:1] for _, offer in offers])
    assert [len(texts) for texts in taken["instruction"].to_pylist()] == [1, 1]
