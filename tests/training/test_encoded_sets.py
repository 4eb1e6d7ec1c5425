"""Sets as tokens: rows without room are told, and each draw has the rows of its pool."""

from __future__ import annotations

import pytest

from mergeit_ops.errors import DatasetError
from mergeit_ops.training.encoded_sets import PerPool, encoded_set
from mergeit_ops.training.encoding import RowEncoder
from tests.training.found_results import some_rows
from tests.training.tiny_experiment import read, rows, student


def test_a_set_without_room_for_answers_is_refused(tmp_path):
    with pytest.raises(DatasetError, match="leaves room for an answer within 20 tokens; raise --max-length"):
        encoded_set(read(tmp_path, "rows", rows(5)), RowEncoder(student().tokenizer, 20))


def test_one_set_is_that_of_all_draws(tmp_path):
    one = some_rows(tmp_path, "one")
    given = PerPool([one])
    assert (given.of_draw(0), given.of_draw(7)) == (one, one)
    assert given.has(7, one.read.digest)
    assert not given.has(7, "other")
    assert list(given.labelled("method")) == [("method", one)]


def test_of_several_sets_each_is_that_of_one_draw(tmp_path):
    first, second = (some_rows(tmp_path, name) for name in ("1.jsonl", "2.jsonl"))
    given = PerPool([first, second])
    assert [given.of_draw(draw) for draw in range(2)] == [first, second]
    assert given.has(1, second.read.digest)
    assert not given.has(0, second.read.digest)
    assert not given.has(2, first.read.digest)
    assert [name for name, _ in given.labelled("method")] == ["method, 1.jsonl", "method, 2.jsonl"]
