"""What became of every row of the input."""

import pytest

from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.recipe_steps import RecipeSteps
from mergeit_ops.runs.tracing import Trace
from mergeit_ops.runs.verification import verify
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe


@pytest.fixture(scope="module")
def finished(tmp_path_factory, embedded_rows):
    """A run that merges some of 24 rows, and its input."""
    folder = tmp_path_factory.mktemp("traced")
    data = write_jsonl(folder / "in.jsonl", embedded_rows[:24])
    process = [
        {"topic_cluster_grouper": {"num_clusters": 3}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat", "similarity_threshold": 0.3}},
    ]
    return data, run_recipe(write_recipe(folder, process, data))


def test_every_row_is_in_the_export_or_part_of_a_row_of_it(finished):
    data, export = finished
    inputs, run = read_input(data), read_run(export)
    fates = verify(run, inputs).fates
    assert [fate.row for fate in fates] == list(range(1, 25))
    assert [fate.row_id for fate in fates] == inputs.ids
    rows = {row.number: row for row in run.rows()}
    assert {fate.fate for fate in fates} <= {"original", "merged"}
    for fate in fates:
        row = rows[fate.export_row]
        if fate.fate == "merged":
            assert row.lineage.parent_ids[fate.parent - 1] == fate.row_id
        else:
            assert row.lineage.row_id == fate.row_id


def test_unmatched_rows_are_put_down_to_what_may_have_changed_them():
    roles = {"merge": {"kind": "merger", "gives_ids": True}}
    found = Trace([], unmatched_rows=2, recognised=1)
    said, undecided = found.sentence(9, RecipeSteps(("clean_mapper", "merge"), roles))
    assert said.startswith("2 of the 9 rows that entered are in no row of INPUT to the letter; 1 of them were told")
    assert "clean_mapper before our operators may have changed them" in said
    assert not undecided
    said, undecided = found.sentence(9, RecipeSteps(("a_filter", "merge"), roles))
    assert "INPUT is not the dataset of this run" in said
    assert undecided
