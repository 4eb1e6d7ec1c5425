"""Topics with their groups, the first of them before all are known."""

import pyarrow as pa
import pytest

from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.dataset.topics import Topic
from mergeit_ops.jobs.paired_topics import PairedTopics

GROUPS = [2, 0, 1, 3]
"""Groups of each topic."""


def topics():
    return [Topic(number, pa.table({}), {}) for number in range(len(GROUPS))]


def find(topic):
    return [Group((2 * number, 2 * number + 1), 0.9) for number in range(GROUPS[topic.topic_id])]


@pytest.mark.parametrize("at_once", [0, 1, 2, 3, 6, 100])
def test_every_topic_comes_once_with_its_groups_and_the_total_is_known_in_the_end(at_once):
    paired = PairedTopics(topics, find, at_once)
    assert paired.total is None
    found = [(topic.topic_id, len(groups)) for topic, groups in paired]
    assert found == list(enumerate(GROUPS))
    assert paired.total == sum(GROUPS)


def test_the_first_topics_come_before_the_others_are_looked_through():
    looked = []
    paired = PairedTopics(topics, lambda topic: looked.append(topic.topic_id) or find(topic), at_once=1)
    pairs = iter(paired)
    next(pairs)
    assert (looked, paired.total) == ([0], None)
    next(pairs)
    assert (looked, paired.total) == ([0, 1, 2, 3], 6)
    list(pairs)
    assert looked == [0, 1, 2, 3]


@pytest.mark.parametrize("at_once", [0, 5])
def test_no_topics_have_no_groups(at_once):
    paired = PairedTopics(list, find, at_once)
    assert list(paired) == []
    assert paired.total == 0
