"""Columns that an operator of ours adds or removes in the middle of a recipe on Ray."""

from types import SimpleNamespace

import pytest
from data_juicer.core.data.ray_dataset import RayDataset

from mergeit_ops.distributed.new_columns import forget_column, note_column


def test_data_juicer_knows_of_the_column_from_there_on():
    """The operator raises at once, so that nothing of a dataset is needed."""

    class Operator:
        _name = "op"

        def __getattr__(self, name):
            if name.startswith("__"):
                raise AttributeError(name)
            note_column("stats")
            forget_column("hash")
            raise InterruptedError

    known = {"text", "hash"}
    with pytest.raises(InterruptedError):
        RayDataset._run_single_op(SimpleNamespace(), Operator(), known)
    assert known == {"text", "stats"}


def test_outside_of_a_run_nothing_happens():
    note_column("stats")
    forget_column("stats")
