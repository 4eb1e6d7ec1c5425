"""What of a row a scorer reads."""

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.formats.views import READS, VIEWS
from mergeit_ops.core.tool_use import Call

ROW = {
    "instruction": "Weather?",
    "output": '<think>Hm.</think><tool_call>{"name": "f", "arguments": {}}</tool_call>',
    "tools": '[{"name": "f"}]',
}


@pytest.mark.parametrize(
    ("view", "output"),
    [("answer", ROW["output"].partition("</think>")[2]), ("response", ROW["output"]), ("parts", ROW["output"])],
)
def test_a_view_has_its_part_of_the_response(view, output):
    sample = VIEWS[view](resolve_format("auto", list(ROW)), ROW)
    assert sample.output == output
    assert bool(sample.exchanges) == (view == "parts")
    assert sample.tool_use is None


def test_the_view_of_tools_has_their_calls():
    sample = VIEWS["tool_use"](resolve_format("auto", list(ROW)), ROW)
    assert Call("f", "{}") in sample.tool_use.events


def test_a_recipe_can_ask_for_some_of_the_views():
    assert set(READS) < set(VIEWS)
