"""Checks of topics before they are merged."""

import numpy as np
import pytest

from mergeit_ops.core.columns import BATCH_META, EMBEDDING
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.topics import flat_types
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.merge_checks import check_merges
from mergeit_ops.jobs.merging import MergeJob
from mergeit_ops.jobs.pairing import PairingJob
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.recipe_runs import make_dataset

COLUMNS = ["instruction", "output", "source"]
READER = SampleReader("merger", resolve_format("alpaca", COLUMNS), EncoderSettings("none"))
ALIKE = encode_vectors(np.array([(1, 0), (1, 0), (0, 1)], dtype=np.float32))


def checked(sources, within=(), at_risk=(), **job):
    topic = {"instruction": ["a", "b", "c"], "output": ["x"] * 3, "source": sources, EMBEDDING: ALIKE}
    rows = LocalRows(make_dataset([topic | {BATCH_META: {"topic_id": 0, "batch_size": 3}}]))
    merge = MergeJob(READER, PairingJob(READER, 0.5, within=within), **job)
    types = flat_types({name: kind for name, kind in rows.types.items() if name != BATCH_META})
    return check_merges(rows, merge, types, dict.fromkeys(at_risk, "a_filter"))


def test_merges_that_can_work_pass():
    assert checked(["s", "s", "t"]) is None
    assert checked(["s", "s", "s"], at_risk=["source"]) is None


def test_a_column_that_merges_would_empty_and_the_recipe_reads_is_refused(lines):
    with pytest.raises(RecipeError, match=r"merger: .*source.*No call was made"):
        checked(["s", "t", "t"], at_risk=["source"])
    checked(["s", "t", "t"], at_risk=["source"], dry_run=True)
    assert any("without dry_run the run would stop" in line for line in lines)


def test_pairs_that_agree_are_handed_on():
    (table,) = checked(["s", "s", "t"], at_risk=["source"])
    ((group,),) = table
    assert group.members == (0, 1)


def test_a_column_of_pair_within_must_be_there():
    checked(["s", "s", "t"], within=("source",))
    with pytest.raises(DatasetError, match=r"merger: pair_within names the column 'lang', .*they have: 'instruction'"):
        checked(["s", "s", "t"], within=("source", "lang"))


@pytest.mark.parametrize(
    ("sources", "advised"), [(["s", "t", "t"], True), (["s", "t", "u"], False), ([None, {"x": 1}, {"x": 2}], False)]
)
def test_pair_within_is_advised_only_for_a_column_in_which_rows_agree(sources, advised):
    with pytest.raises(RecipeError) as refused:
        checked(sources, at_risk=["source"])
    assert ("pair_within: [source]" in str(refused.value)) is advised
    assert "put the operator that reads it before the grouper" in str(refused.value)


@pytest.mark.parametrize(
    ("source", "within", "warned"),
    [
        (["s", "s", "t"], "source", False),
        (["s", "t", "u"], "source", True),
        ([{"id": 1}, {"id": 2}, {"id": 3}], "source.id", True),
        ([{"id": 1}, {"id": 1}, {"id": 3}], "source.id", False),
    ],
)
def test_a_column_of_pair_within_whose_values_all_differ_is_warned_about(source, within, warned, lines):
    checked(source, within=(within,))
    assert (
        any(f"pair_within names '{within}', which has 3 different values in 3 rows" in line for line in lines) is warned
    )


def test_derived_columns_that_cannot_be_made_are_refused():
    with pytest.raises(RecipeError, match=r"merger: derived_columns .*No call was made"):
        checked(["s", "s", "t"], derived=DerivedColumns.parse({"none": "{instruction}"}))
