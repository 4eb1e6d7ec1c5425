"""Columns that merging would empty: how the samples of topics differ in them."""

from __future__ import annotations

import pyarrow as pa

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.dataset.columns_at_risk import Differences, differences
from mergeit_ops.dataset.topics import Topic, topic_table

COLUMNS = ["constant", "by_topic", "own", "shared"]


def topic(number: int, instructions: str, shared: str) -> Topic:
    columns = {
        "instruction": list(instructions),
        "output": ["."] * len(instructions),
        "constant": ["c"] * len(instructions),
        "by_topic": [str(number)] * len(instructions),
        "own": [f"of {letter}" for letter in instructions],
        "shared": list(shared),
    }
    return Topic(number, pa.table(columns), {"topic_id": number})


def test_differences_are_those_within_a_topic_in_whatever_tables_topics_come():
    layout = resolve_format("auto", ["instruction", "output", *COLUMNS])
    # "a" and "c" are different samples with one value; "d" and "e" have two values.
    first, second = topic(0, "abc", "pqp"), topic(1, "de", "rs")
    _, of_both = differences(topic_table([first, second]), COLUMNS, layout)
    assert of_both == Differences(frozenset({"own", "shared"}), frozenset({"shared"}), embedded=False)
    parts = [differences(topic_table([one]), COLUMNS, layout)[1] for one in (first, second)]
    assert parts[1].shared == frozenset()
    assert parts[0] | parts[1] == of_both
