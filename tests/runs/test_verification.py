"""`verify` accepts every lawful export and finds every mutation of one."""

from __future__ import annotations

import json
import random
from collections.abc import Collection
from pathlib import Path

import pytest

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.runs import read_run
from mergeit_ops.runs.export_files import stats_file
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import Verification, verify
from tests.runs.lawful import SHAPES, UPPER, Lawful, Shape, run_lawfully
from tests.runs.mutations import CHANGES_A_ROW, MUTATIONS, TAKES_A_ROW, apply
from tests.thorough import every

SEED = 7


@pytest.fixture(scope="module", params=every(3, SHAPES))
def lawful(request, tmp_path_factory, sample_rows) -> Lawful:
    return lawful_run(tmp_path_factory.mktemp("lawful"), request.param, sample_rows)


def lawful_run(folder: Path, shape: str, sample_rows: list[dict]) -> Lawful:
    return run_lawfully(folder, SHAPES[shape], sample_rows, SEED + list(SHAPES).index(shape))


def provable(shape: Shape) -> list[str]:
    """Return the mutations that nothing behind our operators could have done."""
    excused = (TAKES_A_ROW if shape.behind else set()) | (CHANGES_A_ROW if UPPER in shape.behind else set())
    return [name for name in MUTATIONS if name not in excused]


def verified(run: Lawful, inputs) -> Verification:
    return verify(read_run(run.export), inputs)


def test_lawful_exports_are_accepted_and_every_mutation_is_found(lawful):
    assert_accepted_and_every_mutation_found(lawful)


@pytest.mark.usefixtures("ray_cluster")
@pytest.mark.parametrize(
    "shape",
    every(
        2,
        [
            Shape(on_ray=True, layout="messages", suffix="parquet", bounded=True),
            Shape(on_ray=True, inexact=True, dates=True),
        ],
    ),
    ids=["messages", "alpaca"],
)
def test_so_it_is_on_ray(tmp_path, sample_rows, shape):
    assert_accepted_and_every_mutation_found(run_lawfully(tmp_path, shape, sample_rows, SEED))


def assert_accepted_and_every_mutation_found(lawful: Lawful, but: Collection[str] = ()) -> None:
    inputs = read_input(lawful.data)
    found = verified(lawful, inputs)
    assert found.holds, [found.headline, *found.violations, *found.undecided]
    # Ray gives rows in any order.
    rows = list(lawful.rows)
    if lawful.shape.keep:
        random.Random(SEED).shuffle(rows)
    lawful.write(rows)
    found = verified(lawful, inputs)
    assert found.holds, ["in another order", found.headline, *found.violations, *found.undecided]
    applied, missed = [], []
    for name in provable(lawful.shape):
        rows = apply(name, lawful.rows, SEED)
        if rows is None or name in but:
            continue
        applied.append(name)
        lawful.write(rows)
        if verified(lawful, inputs).holds is not False:
            missed.append(name)
    assert missed == []
    assert len(applied) >= 15


@pytest.mark.parametrize(
    ("shape", "left_out"),
    [
        ("alpaca", ("turn", "speaker", "earlier", "time")),
        ("messages", ("earlier", "time")),
        ("dates, two mergers", ("turn", "speaker")),
    ],
)
def test_the_catalogue_is_gone_through(tmp_path, sample_rows, shape, left_out):
    """Mutations that find nothing to do would prove nothing."""
    run = lawful_run(tmp_path, shape, sample_rows)
    undone = [name for name in MUTATIONS if apply(name, run.rows, SEED) is None]
    assert [name for name in undone if not any(word in name for word in left_out)] == []
    assert len(MUTATIONS) - len(undone) >= 50


def test_rows_that_the_gate_dropped_or_nobody_selected_cannot_come_back(tmp_path, sample_rows):
    run = lawful_run(tmp_path, "bounds", sample_rows)
    inputs = read_input(run.data)
    (gate,) = read_run(run.export).of_kind("gate")
    (merger,) = read_run(run.export).of_kind("merger")
    dropped = [row_id for row_id in gate["dropped"] if row_id in inputs]
    unselected = [row_id for row_id in inputs.ids if row_id not in merger["entered"]]
    assert dropped
    assert unselected
    model = next(row for row in run.rows if row[META]["merge_status"] == "original")
    for row_id in (dropped[0], unselected[0]):
        meta = model[META] | {"row_id": row_id, "merge_status": "original"}
        run.write([*run.rows, inputs.content(row_id) | {META: meta, STATS: {}}])
        assert verified(run, inputs).holds is False


@pytest.mark.parametrize("shape", ["alpaca", "messages", "two mergers"])
def test_records_of_older_versions_still_prove_all_but_rounded_values(tmp_path, sample_rows, shape):
    run = lawful_run(tmp_path, shape, sample_rows)
    for path in run.export.parent.glob("*/mergeit/*.json"):
        record = json.loads(path.read_text(encoding="utf-8"))
        for merge in (*record.get("merges", {}).values(), *record.get("accepted", {}).values()):
            merge.pop("row", None)
        for name in ("contents", "inexact", "state"):
            record.pop(name, None)
        path.write_text(json.dumps(record), encoding="utf-8")
    # Two rows that were merged before are told apart by the digest of their columns alone.
    assert_accepted_and_every_mutation_found(run, but=("two rows exchange their earlier merges",))


def test_without_lineage_what_rows_hold_and_how_many_there_are_is_proved(tmp_path, sample_rows):
    run = lawful_run(tmp_path, "json, metadata beside", sample_rows)
    beside = stats_file(run.export)
    assert beside is not None
    inputs = read_input(run.data)
    doubled = {name for name in MUTATIONS if "there twice" in name and "parent" not in name}
    # Without parents to compare with, an empty list in the place of a null is none.
    unproved = {name for name in MUTATIONS if "lineage" in name} | {"a merged row has the value of one parent alone"}
    for name in sorted((TAKES_A_ROW | CHANGES_A_ROW | doubled) - unproved):
        rows = apply(name, run.rows, SEED)
        if rows is not None:
            beside.touch()
            run.write(rows)
            beside.unlink()
            assert verified(run, inputs).holds is False, name
    beside.touch()
    run.write(run.rows)
    beside.unlink()
    assert verified(run, inputs).holds


@pytest.mark.parametrize("shape", ["alpaca", "bounds", "a filter behind", "bounds and a filter behind", "no gate"])
def test_the_headline_agrees_with_the_counts(tmp_path, sample_rows, shape):
    run = lawful_run(tmp_path, shape, sample_rows)
    found = verified(run, read_input(run.data))
    counts = found.counts
    there = counts["original"] + counts["restored"] + sum(n for name, n in counts.items() if name.startswith("merged,"))
    entered = counts["entered the merger"]
    dropped = sum(n for name, n in counts.items() if name.strip().startswith("dropped by the gate"))
    later = sum(n for name, n in counts.items() if name.strip() == "taken away later")
    assert there + dropped + later == entered
    assert f" {there:,} " in found.headline
    assert bool(dropped) == SHAPES[shape].bounded
    assert bool(later) == bool(SHAPES[shape].behind)
    assert counts.get("removed after the gate", 0) == (dropped + later if SHAPES[shape].gamma else 0)
    last = read_run(run.export).records.operators[-1]
    if dropped:
        assert f" {len(last['dropped'])} by its min_score or max_score" in found.headline
    if later:
        removed = last["figures"]["rows_out"] - counts["rows of the export"]
        assert f" {removed} by operators after it (specified_field_filter)" in found.headline
    if not dropped + later:
        assert "removed" not in found.headline
