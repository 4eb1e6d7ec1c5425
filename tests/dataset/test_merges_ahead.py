"""Checks of a recipe's merges before any row is embedded for them."""

from __future__ import annotations

import sys
from types import SimpleNamespace

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.dataset.merges_ahead import check_merges_ahead
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import __all__ as _registered  # noqa: F401

TYPES = dict.fromkeys(("instruction", "output", "source"), pa.string())
LAYOUT = resolve_format("alpaca", list(TYPES))
READS_SOURCE = {"specified_field_filter": {"field_key": "source", "target_value": ["a"]}}


@pytest.fixture
def check(monkeypatch):
    """Check the recipe that groups first and then has the given operators."""
    import data_juicer.config.config  # noqa: F401

    def run(*process, pairs=(("s1", "a"), ("s2", "b")), types=TYPES):
        first = {"topic_cluster_grouper": {}}
        config = SimpleNamespace(process=[first, *process], work_dir="w", text_keys=["instruction"])
        monkeypatch.setattr(sys.modules["data_juicer.config.config"], "global_cfg", config, raising=False)
        operator = SimpleNamespace(_name="topic_cluster_grouper", work_dir="w", _op_cfg=first)
        asked = []

        def pairs_of(column):
            asked.append(column)
            return [pairs]

        check_merges_ahead(operator, types, LAYOUT, pairs_of)
        return asked

    return run


def test_a_column_that_is_null_in_every_merge_and_read_later_stops_the_recipe(check):
    with pytest.raises(RecipeError, match=r"llm_pair_merger_mapper: .*source.*No row was embedded"):
        check({"llm_pair_merger_mapper": {}}, READS_SOURCE)


def test_rows_that_share_a_value_may_keep_it(check):
    assert check({"llm_pair_merger_mapper": {}}, READS_SOURCE, pairs=(("s", "a"), ("s", "b"))) == ["source"]


@pytest.mark.parametrize(
    "process",
    [
        (),
        ({"diversity_selector": {}},),
        ({"words_num_filter": {}}, {"llm_pair_merger_mapper": {}}, READS_SOURCE),
        ({"llm_pair_merger_mapper": {}},),
        ({"llm_pair_merger_mapper": {"dry_run": True}}, READS_SOURCE),
    ],
)
def test_nothing_is_refused_that_may_work(check, process):
    check(*process)


def test_rows_that_bring_embeddings_are_checked_later(check):
    assert check({"llm_pair_merger_mapper": {}}, READS_SOURCE, types={**TYPES, EMBEDDING: pa.string()}) == []


def test_derived_columns_that_cannot_be_made_stop_the_recipe(check):
    merger = {"llm_pair_merger_mapper": {"derived_columns": {"none": "{instruction}"}}}
    with pytest.raises(RecipeError, match=r"derived_columns .*No row was embedded"):
        check(merger)
