"""What the tasks of a lazy stage on Ray tell the driver ends up in the record, each part once."""

from __future__ import annotations

from types import SimpleNamespace

import pytest

from mergeit_ops.dataset.manifest import Manifest, read_manifests


@pytest.mark.usefixtures("ray_cluster")
def test_figures_and_details_of_all_parts_are_in_the_record_once(tmp_path):
    from mergeit_ops.distributed.ledger import close_ledgers, open_ledger, report

    operator = SimpleNamespace(
        _name="quality_gate_filter",
        work_dir=str(tmp_path),
        place=3,
        new_manifest=lambda: Manifest("quality_gate_filter", {}, place=3),
    )
    name = open_ledger(operator)
    # A copy of the operator, for another partition.
    assert open_ledger(operator) == name
    (begun,) = read_manifests(tmp_path)
    assert (begun["state"], begun["place"], begun["figures"]) == ("running", 3, {})
    first = {"rows_in": 2, "rejected": {"score": 1}}, {"left": ["a", "b"], "accepted": {"m": {"parents": ["c", "d"]}}}
    report(name, "first", *first)
    # A batch that Ray has run again.
    report(name, "first", *first)
    report(name, "second", {"rows_in": 1, "rows_out": 2, "rejected": {"score": 2}}, {"left": ["e"], "accepted": {}})
    report(name, "costs", {"scoring": {"calls": 3}})
    close_ledgers()
    (record,) = read_manifests(tmp_path)
    assert record["state"] == "done"
    assert record["figures"] | {"seconds": 0} == {
        "rows_in": 3,
        "rows_out": 2,
        "rejected": {"score": 3},
        "scoring": {"calls": 3},
        "seconds": 0,
    }
    assert record["left"] == ["a", "b", "e"]
    assert record["accepted"] == {"m": {"parents": ["c", "d"]}}
    # A task that runs once more, for rows that a node has lost.
    report(name, "first", *first)
