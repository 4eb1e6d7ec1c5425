"""What the tasks of a lazy stage on Ray tell the driver ends up in the record, each part once."""

from __future__ import annotations

import time

import pytest

from mergeit_ops.dataset.manifest import Manifest, read_manifests


@pytest.mark.usefixtures("ray_cluster")
def test_figures_and_details_of_all_parts_are_in_the_record_once(tmp_path):
    import ray

    from mergeit_ops.distributed.ledger import _close, open_ledger, report

    manifest = Manifest("quality_gate_filter", {})
    open_ledger("a test", manifest, str(tmp_path))
    first = {"rows_in": 2, "rejected": {"score": 1}}, {"left": ["a", "b"], "accepted": {"m": {"parents": ["c", "d"]}}}
    report("a test", "first", *first)
    # A batch that Ray has run again.
    report("a test", "first", *first)
    report("a test", "second", {"rows_in": 1, "rejected": {"score": 2}}, {"left": ["e"], "accepted": {}})
    report("a test", "costs", {"scoring": {"calls": 3}})
    _close(ray.get_actor("a test"), manifest, time.perf_counter(), str(tmp_path))
    (record,) = read_manifests(tmp_path)
    assert record["figures"] | {"seconds": 0} == {
        "rows_in": 3,
        "rejected": {"score": 3},
        "scoring": {"calls": 3},
        "seconds": 0,
    }
    assert record["left"] == ["a", "b", "e"]
    assert record["accepted"] == {"m": {"parents": ["c", "d"]}}
