"""The conservation law of runs that make samples of texts: each row of the export comes from a text of the input."""

from collections import Counter

import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import verify
from tests.llm_server import FakeLLMServer, merge_answer, parents_of
from tests.recipe_runs import read_jsonl, run_recipe, write_jsonl, write_recipe
from tests.test_whole_runs import pipeline

STATUS = "backtranslation_status"


def answer(body):
    """Write a sample of four texts of five."""
    (record, *others) = parents_of(body)
    return "No." if not others and len(record.get("text", "x")) % 5 == 0 else merge_answer(body)


def backtranslation(**parameters):
    return {"backtranslation_mapper": {"min_chars": 40, "try_num": 1, "max_failure_ratio": 1.0, **parameters}}


@pytest.fixture
def run(tmp_path, sample_rows, monkeypatch):
    """Run operators over texts, two of which are equal in all columns; return the input and the export."""
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    texts = [{"text": row["output"], "id": row["id"]} for row in sample_rows[:60]]
    data = write_jsonl(tmp_path / "in.jsonl", [*texts, texts[0]])
    with FakeLLMServer(answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        settings = {"text_keys": "text"}
        yield lambda *process, **more: (data, run_recipe(write_recipe(tmp_path, process, data, **settings, **more)))


def verified(data, export):
    return verify(read_run(export), read_input(data))


@pytest.mark.parametrize("method", ["instruction", "grounded_task"])
@pytest.mark.parametrize("failed", ["keep", "drop"])
def test_every_row_is_accounted_for_by_its_text(run, method, failed):
    data, export = run(backtranslation(method=method, on_failure=failed))
    rows = read_jsonl(export)
    found = verified(data, export)
    assert found.holds, (found.violations, found.undecided)
    assert found.counts["rewritten, with what they were"] == found.counts["kept"] == len(rows)
    statuses = Counter(row[META][STATUS] for row in rows)
    assert set(statuses) == ({"ok"} if failed == "drop" else {"ok", "too_short", "unparsable"})
    assert found.counts["filtered out"] == 61 - len(rows)
    assert (found.counts["filtered out"] > 0) == (failed == "drop")
    assert found.remarks == []


def made(rows):
    return next(row for row in rows if row[META][STATUS] == "ok")


def lost(rows):
    rows.pop()


def doubled(rows):
    rows.append(rows[0])


def output_changed(rows):
    made(rows)["output"] = "another"


def source_changed(rows):
    made(rows)[META]["backtranslation_source"] = "another"


def other_column_changed(rows):
    made(rows)["id"] = "another"


def source_of_another_row(rows):
    one, other = [row[META] for row in rows if row[META][STATUS] == "ok"][1:3]
    one |= {name: other[name] for name in ("backtranslation_source", "backtranslation_source_id")}


SPOILT = [lost, doubled, output_changed, source_changed, other_column_changed, source_of_another_row]


def test_what_is_not_as_it_was_is_found(run):
    data, export = run(backtranslation(on_failure="drop"))
    before = export.read_text(encoding="utf-8")
    for spoil in SPOILT:
        export.write_text(before, encoding="utf-8")
        rows = read_jsonl(export)
        spoil(rows)
        write_jsonl(export, rows)
        assert verified(data, export).holds is False, spoil.__name__


def test_without_metadata_rows_are_told_by_the_record(run):
    data, export = run(backtranslation(), keep_stats_in_res_ds=False)
    assert verified(data, export).holds
    (beside,) = export.parent.glob("*_stats.jsonl")
    beside.unlink()
    found = verified(data, export)
    assert found.holds, (found.violations, found.undecided)
    write_jsonl(export, [row | {"output": "another"} for row in read_jsonl(export)])
    assert not verified(data, export).holds


def test_before_a_rewriting_and_a_filter(run):
    by_length = {"sample_score_filter": {"scorer": "tests.user_scorers:ByLength", "min_score": 100}}
    revise = {"instruction_rewrite_mapper": {"method": "revise"}}
    data, export = run(backtranslation(on_failure="drop"), revise, by_length)
    rows = read_jsonl(export)
    found = verified(data, export)
    assert found.holds, (found.violations, found.undecided)
    assert found.counts["filtered out"] == 61 - len(rows) > 0
    assert {row[META]["rewrite_status"] for row in rows} == {"rewritten"}
    assert found.counts["kept"] == len(rows)


def test_before_a_grouper_and_a_merger(run):
    data, export = run(backtranslation(on_failure="drop"), *pipeline(gamma=1.4))
    found = verified(data, export)
    assert found.holds, (found.violations, found.undecided)
    assert {"original", "merged"} <= {fate.fate for fate in found.fates}
    assert sum(number for name, number in found.counts.items() if name == "lost") == 0
