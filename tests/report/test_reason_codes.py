"""Why merges failed or were taken apart, as the records say, else as the export tells."""

from collections import Counter
from types import SimpleNamespace

from mergeit_ops.report.reason_codes import failed, rejected, unmergeable


def run(*figures):
    survey = SimpleNamespace(
        failed=Counter({"echo": 1}),
        merges=[SimpleNamespace(rejected="score"), SimpleNamespace(rejected=None)],
        unmergeable=Counter({"bad_row": 2}),
    )
    return SimpleNamespace(records=[{"figures": part} for part in figures], survey=survey)


def test_the_records_count_before_the_export():
    told = run({"failed": {"echo": 2}, "rejected": {}}, {"failed": {"echo": 1, "budget": 3}}, {"calls": 9})
    assert failed(told) == {"echo": 3, "budget": 3}
    assert rejected(told) == {}
    assert unmergeable(told) == {"bad_row": 2}


def test_rewritings_are_no_merges():
    told = run({"failed": {"echo": 2}}, {"failed": {"echo": 1, "length": 3}})
    told.records[1]["role"] = {"kind": "rewriter"}
    assert failed(told) == {"echo": 2}


def test_without_a_record_the_export_tells():
    told = run()
    assert (failed(told), rejected(told), unmergeable(told)) == ({"echo": 1}, {"score": 1}, {"bad_row": 2})
    assert failed(run({"failed": None})) == {"echo": 1}
