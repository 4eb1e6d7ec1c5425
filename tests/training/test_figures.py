"""The JSON of an experiment."""

from __future__ import annotations

import json

from mergeit_ops.training.figures import as_figures
from tests.training.test_summary import found


def test_figures_are_plain_and_complete(tmp_path):
    done = found(tmp_path)
    told = json.loads(json.dumps(as_figures(done, {"student": "tiny"}), allow_nan=False))
    assert told["experiment"] == {"student": "tiny"}
    assert [one["name"] for one in told["sets"]] == ["good", "same", "bad", "worst"]
    good = told["sets"][0]
    interval = done.sets[0].measured.differences["row"]
    assert good["difference_to_random"]["row"] == {
        "value": interval.estimate,
        "low": interval.low,
        "high": interval.high,
    }
    assert good["verdict"]["kind"] == "better"
    (file,) = good["files"]
    assert (file["rows"], file["asks_held_out"], file["too_long"], file["cut"]) == (12, 2, 1, 3)
    assert set(told["controls"]) == {"random_2x", "swapped"}


def test_what_is_not_finished_is_left_out(tmp_path):
    told = as_figures(found(tmp_path, draws=1), {})
    assert told["sight"] is None
    assert told["sets"][0]["difference_to_random"]["row"]["low"] is None
