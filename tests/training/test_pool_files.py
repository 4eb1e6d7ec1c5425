"""Which file of a set belongs to which pool, and what is said where one is missing."""

from __future__ import annotations

import pytest

from mergeit_ops.errors import DatasetError
from mergeit_ops.training.pool_files import files_of


@pytest.fixture
def made(tmp_path):
    for name in ("pools/1.jsonl", "pools/2.jsonl", "method/1.jsonl", "method/2.jsonl", "other/2.jsonl"):
        (tmp_path / name).parent.mkdir(exist_ok=True)
        (tmp_path / name).touch()
    return tmp_path


def test_for_one_pool_a_set_is_what_is_given(made):
    pool = made / "pools" / "1.jsonl"
    assert files_of(made / "method", [pool]) == [made / "method"]
    assert files_of(made / "method" / "1.jsonl", [pool]) == [made / "method" / "1.jsonl"]


def test_for_several_pools_files_are_found_by_the_names_of_these(made):
    pools = [made / "pools" / "2.jsonl", made / "pools" / "1.jsonl"]
    assert files_of(made / "method", pools) == [made / "method" / "2.jsonl", made / "method" / "1.jsonl"]


@pytest.mark.parametrize(
    ("given", "pools", "said"),
    [
        ("other", ("pools/1.jsonl", "pools/2.jsonl"), "other has no 1.jsonl: with several pools"),
        ("method/1.jsonl", ("pools/1.jsonl", "pools/2.jsonl"), "names 2 pools, so each set must be a folder"),
        ("method", ("pools/2.jsonl", "other/2.jsonl"), "have the same name"),
        ("method", ("pools/1.jsonl", "pools/3.jsonl"), "There is no file or folder .*3.jsonl"),
        ("nowhere", ("pools/1.jsonl",), "There is no file or folder .*nowhere"),
    ],
)
def test_what_does_not_fit_is_said(made, given, pools, said):
    with pytest.raises(DatasetError, match=said):
        files_of(made / given, [made / pool for pool in pools])
