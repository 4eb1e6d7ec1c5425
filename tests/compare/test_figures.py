"""What is found, as plain figures for JSON."""

import json

from mergeit_ops.compare.figures import FORMAT_VERSION, as_figures
from mergeit_ops.compare.measures import BY_KEY
from tests.compare.test_measuring import compared
from tests.core.measures.test_diversity import X6


def test_json_can_hold_all_that_was_found():
    found = compared([1, 3], [0, 1, 2, 5], pool=X6, scores=[{0: 2.0, 1: 2.0}, {0: 3.0, 1: None}])
    figures = json.loads(json.dumps(as_figures(found, {"scorer": "distilled"}), allow_nan=False))
    assert figures["format_version"] == FORMAT_VERSION
    assert figures["scorer"] == "distilled"
    first, second = figures["files"]
    assert (first["rows"], second["rows"]) == (2, 4)
    assert set(first["measures"]) <= set(BY_KEY)
    assert first["measures"]["quality"]["value"] == 2.0
    assert first["difference_to_first"] == {}
    assert set(second["measures"]["distance"]) == {"value", "low", "high"}


def test_what_is_not_defined_is_null():
    found = compared([1], [0, 2], pool=X6)
    figures = as_figures(found, {})
    assert figures["files"][0]["measures"]["distance"]["value"] is None
    json.dumps(figures, allow_nan=False)
