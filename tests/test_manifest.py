"""The summary line of a run: what several operators of one kind took is all in it."""

from __future__ import annotations

from mergeit_ops.dataset.manifest import log_summary, recorded


def test_costs_of_several_operators_are_added_and_no_scoring_is_forgotten(tmp_path, lines):
    for calls, cost in ((3, 0.25), (5, 0.5)):
        with recorded("llm_pair_merger_mapper", {}, str(tmp_path)) as manifest:
            manifest.figures |= {"rows_in": 9, "topics": 2, "calls": calls, "cost": cost}
        with recorded("quality_gate_filter", {}, str(tmp_path)) as manifest:
            manifest.figures |= {"scoring": {"calls": 10 * calls}}
    log_summary(str(tmp_path))
    assert "rows in 9; " in lines[-1]
    assert "topics 2; " in lines[-1]
    assert "calls 8; cost 0.75; " in lines[-1]
    assert "scoring (calls 30)" in lines[-1]
    assert "scoring 2 (calls 50)" in lines[-1]
