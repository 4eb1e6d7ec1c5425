"""The conservation law of runs that rewrite rows: each row of the export is a row of the input, or keeps it whole."""

import json

import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.core.rows.identity import content_digest
from mergeit_ops.core.rows.rewrites import rewritten
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.records import Records
from mergeit_ops.runs.rewrites import Rewrites
from mergeit_ops.runs.verification import verify
from tests.llm_server import FakeLLMServer, merge_answer, parents_of
from tests.recipe_runs import read_jsonl, run_recipe, write_jsonl, write_recipe
from tests.test_whole_runs import pipeline

REWRITING = {"instruction_rewrite_mapper": {"method": "tree", "try_num": 1, "max_failure_ratio": 1.0}}
FLAT = {"topic_reverse_grouper": {}}
DATA = ("id", "instruction", "input", "output")


def answer(body):
    """Rewrite two rows of three."""
    records = parents_of(body)
    if len(records) == 1 and "Yours must have" in json.dumps(body) and len(records[0]["instruction"]) % 3 == 0:
        return "No."
    return "A new answer." if not records else merge_answer(body)


@pytest.fixture
def run_on(tmp_path, monkeypatch):
    """Run operators over rows; return the input and the export."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    with FakeLLMServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)

        def run(rows, *process, **settings):
            data = write_jsonl(tmp_path / "in.jsonl", rows)
            return data, run_recipe(write_recipe(tmp_path, process, data, **settings))

        yield run


@pytest.fixture
def run(run_on, embedded_rows):
    """Run operators over rows of the sample; return the input and the export."""
    return lambda *process, **settings: run_on(embedded_rows, *process, **settings)


def verified(data, export):
    return verify(read_run(export), read_input(data))


def first_rewritten(rows):
    return next(row for row in rows if row[META]["rewrite_status"] == "rewritten")


def test_rewritten_rows_are_accounted_for_by_what_they_were(run):
    data, export = run(REWRITING)
    found = verified(data, export)
    rows = read_jsonl(export)
    number = sum(row[META]["rewrite_status"] == "rewritten" for row in rows)
    assert found.holds, (found.violations, found.undecided)
    assert found.counts["rewritten, with what they were"] == number
    assert 0 < number < len(rows)
    assert found.counts["kept"] == len(rows)
    assert (found.counts["lost"], found.counts["changed"], found.remarks) == (0, 0, [])
    assert {fate.fate for fate in found.fates} == {"kept"}


def lost(rows):
    rows.pop()


def doubled(rows):
    rows.append(rows[0])


def texts_changed(rows):
    first_rewritten(rows)["output"] = "another"


def another_parent(rows):
    one = first_rewritten(rows)[META]
    one["rewrite_parent"] = one["rewrite_parent"].replace('"output":"', '"output":"other ')


def no_parent(rows):
    first_rewritten(rows)[META]["rewrite_parent"] = "{"


def parent_of_another_row(rows):
    one, other = [row[META] for row in rows if row[META]["rewrite_status"] == "rewritten"][:2]
    one |= {name: other[name] for name in ("rewrite_parent", "rewrite_parent_id")}


def original_changed(rows):
    next(row for row in rows if row[META]["rewrite_status"] == "original")["output"] = "another"


@pytest.mark.parametrize(
    "spoil", [lost, doubled, texts_changed, another_parent, no_parent, parent_of_another_row, original_changed]
)
def test_what_is_not_as_it_was_is_found(run, spoil):
    data, export = run(REWRITING)
    rows = read_jsonl(export)
    spoil(rows)
    write_jsonl(export, rows)
    found = verified(data, export)
    assert found.holds is False


def test_without_metadata_rows_are_told_by_the_record(run):
    data, export = run(REWRITING, keep_stats_in_res_ds=False)
    assert verified(data, export).holds
    (beside,) = export.parent.glob("*_stats.jsonl")
    beside.unlink()
    found = verified(data, export)
    assert found.holds, (found.violations, found.undecided)
    write_jsonl(export, [row | {"output": "another"} for row in read_jsonl(export)])
    assert not verified(data, export).holds


def test_behind_a_merger_and_its_gate(run):
    data, export = run(*pipeline(gamma=1.4), REWRITING)
    found = verified(data, export)
    assert found.holds, (found.violations, found.undecided)
    assert found.counts["rewritten, with what they were"] > 0
    assert {"original", "merged", "restored"} <= {fate.fate for fate in found.fates}
    rows = read_jsonl(export)
    write_jsonl(export, rows[1:])
    assert verified(data, export).holds is False


def test_before_a_grouper_and_a_merger(run):
    data, export = run(REWRITING, *pipeline(gamma=1.4))
    found = verified(data, export)
    assert found.holds, (found.violations, found.undecided)
    assert not any("no counterpart" in remark or "match no row" in remark for remark in found.remarks)
    assert {"original", "merged"} <= {fate.fate for fate in found.fates}
    # A merged row was never rewritten itself; its parents tell what they were.
    merged = [row[META] for row in read_jsonl(export) if row[META]["merge_status"] == "merged"]
    assert {meta.get("rewrite_status") for meta in merged} == {None}
    assert any("rewrite_parent" in text for meta in merged for text in meta["merge_parents"])


def assert_only_the_whole_export_is_accepted(data, export, number):
    """Check that all rows are found, and that a row that is missing, doubled or changed is too."""
    found = verified(data, export)
    assert found.holds, (found.violations, found.undecided)
    assert found.remarks == []
    rows = read_jsonl(export)
    places = [(fate.export_row, fate.parent) for fate in found.fates]
    assert len(set(places)) == number
    assert all(row for row, _ in places)
    for wrong in (rows[1:], [*rows, rows[0]], [rows[0], *rows[:-1]], [rows[0] | {"output": "another"}, *rows[1:]]):
        write_jsonl(export, wrong)
        assert verified(data, export).holds is False


def that_become_alike(rows):
    """Return rows of which an operator makes pairs of equal rows, and some twice."""
    return [*rows, *(row | {"output": f"{row['output']} Indeed."} for row in rows), *rows[:5]]


@pytest.mark.parametrize("merges", [False, True], ids=["selected", "merged"])
def test_rows_that_become_the_same_before_a_grouper(run_on, embedded_rows, merges):
    behind = pipeline(gamma=1.4) if merges else [{"topic_cluster_grouper": {"num_clusters": 1}}, FLAT]
    if merges:
        behind[1] = {"facility_location_selector": {"select_ratio": 1.0}}
    data, export = run_on(that_become_alike(embedded_rows[:20]), REWRITING, *behind)
    assert any(row[META]["row_id"].endswith("-1") for row in read_jsonl(export))
    assert_only_the_whole_export_is_accepted(data, export, 45)


def test_rows_that_become_the_same_are_told_without_metadata(run_on, embedded_rows):
    data, export = run_on(that_become_alike(embedded_rows[:20]), REWRITING, keep_stats_in_res_ds=False)
    (beside,) = export.parent.glob("*_stats.jsonl")
    beside.unlink()
    assert_only_the_whole_export_is_accepted(data, export, 45)


def test_a_row_that_becomes_another_row_of_the_input(run_on, embedded_rows):
    data, export = run_on(embedded_rows[:10], REWRITING)
    rows = [{name: row[name] for name in DATA} for row in (*read_jsonl(export), *embedded_rows[:10])]
    data, export = run_on(rows, REWRITING, {"topic_cluster_grouper": {"num_clusters": 1}}, FLAT)
    assert_only_the_whole_export_is_accepted(data, export, 20)


def test_a_run_that_continues_an_earlier_export_and_rewrites_first(run_on, embedded_rows):
    _, earlier = run_on(embedded_rows, *pipeline(gamma=1.4))
    rows = read_jsonl(earlier)
    assert {row[META]["merge_status"] for row in rows} == {"original", "merged", "restored"}
    data, export = run_on(rows, REWRITING, {"topic_cluster_grouper": {"num_clusters": 1}}, FLAT)
    assert_only_the_whole_export_is_accepted(data, export, len(rows))


@pytest.mark.slow
def test_twice_and_behind_a_selection(run):
    select = {"facility_location_selector": {"select_ratio": 0.5}}
    revise = {"instruction_rewrite_mapper": {**REWRITING["instruction_rewrite_mapper"], "method": "deepen"}}
    data, export = run(REWRITING, select, revise)
    found = verified(data, export)
    assert found.holds, (found.violations, found.undecided)
    assert found.counts["kept"] == 60


def records(*rewrites):
    role = {"kind": "rewriter"}
    operators = tuple({"operator": "op", "role": role, "rewrites": one} for one in rewrites)
    return Records(operators, ("op",) * len(rewrites), {"op": role})


def test_a_row_may_come_from_every_row_that_became_it():
    old, middle, new = (content_digest({"text": text}) for text in "abc")
    known = Rewrites(records({old: [middle, "0"], "own id": [middle, "0"]}, {middle: [new, "0"]}), "", None)
    assert known.origins(new, in_export=True) == [new, middle, old, "own id"]
    # Of rows with this content, the second operator has rewritten those that it could.
    assert known.origins(middle, in_export=True) == [middle, old, "own id"]
    # A row that was itself rewritten is hardly there any more.
    swapped = Rewrites(records({old: [new, "0"], new: [middle, "0"]}), "", None)
    assert swapped.origins(new, in_export=True) == [old, new]
    assert swapped.origins(old, in_export=True) == [old]
    # Nothing was rewritten before the operator whose rows are checked.
    assert known.origins(new) == [new]


def test_the_keys_that_verification_reads_are_those_that_are_written():
    written = rewritten({}, parent="{}", parent_id="a", method="m", model="m", prompt_sha256="0")
    assert {"rewrite_status", "rewrite_parent", "rewrite_parent_id"} <= set(written)
