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


def answer(body):
    """Rewrite two rows of three."""
    records = parents_of(body)
    if len(records) == 1 and "Yours must have" in json.dumps(body) and len(records[0]["instruction"]) % 3 == 0:
        return "No."
    return "A new answer." if not records else merge_answer(body)


@pytest.fixture
def run(tmp_path, embedded_rows, monkeypatch):
    """Run operators over rows of the sample; return the input and the export."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    with FakeLLMServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        yield lambda *process, **settings: (data, run_recipe(write_recipe(tmp_path, process, data, **settings)))


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


def test_the_id_of_a_copy_keeps_its_ordinal():
    old, middle, new = (content_digest({"text": text}) for text in "abc")
    known = Rewrites(records({old: [middle, "0"]}, {middle: [new, "0"]}), "", None)
    assert known.origin(new + "-2", in_export=True) == old + "-2"
    assert known.origin(middle, in_export=True) == old
    assert known.origin(old, in_export=True) == old
    # Nothing was rewritten before the operator whose rows are checked.
    assert known.origin(new) == new


def test_the_keys_that_verification_reads_are_those_that_are_written():
    written = rewritten({}, parent="{}", parent_id="a", method="m", model="m", prompt_sha256="0")
    assert {"rewrite_status", "rewrite_parent", "rewrite_parent_id"} <= set(written)
