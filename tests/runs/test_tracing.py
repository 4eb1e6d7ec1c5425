"""What became of every row of the input."""

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.core.rows.lineage import lineage, quality_stats
from mergeit_ops.core.rows.lossless import encode_row
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.recipe_steps import RecipeSteps
from mergeit_ops.runs.tracing import Trace
from mergeit_ops.runs.verification import verify
from tests.recipe_runs import write_jsonl
from tests.report.exports import content, write_export

ROWS = [content(f"Say {number}.") for number in range(4)]


def test_every_row_is_in_the_export_or_part_of_a_row_of_it_or_missing(tmp_path):
    inputs = read_input(write_jsonl(tmp_path / "in.jsonl", ROWS))
    alone, first, second, _ = inputs.ids
    own = lineage(topic_id=0, row_id=alone, row_order=0)
    parents = [
        encode_row(row | {META: lineage(topic_id=0, row_id=row_id, row_order=0)})
        for row, row_id in zip(ROWS[1:], (first, second), strict=False)
    ]
    merge = lineage(
        topic_id=0, row_id="merge", row_order=1, status="merged", parents=parents, parent_ids=[first, second]
    )
    export = [ROWS[0] | {META: own, STATS: quality_stats()}, content("Both.") | {META: merge, STATS: quality_stats()}]
    fates = verify(read_run(write_export(tmp_path / "out.jsonl", export)), inputs).fates
    assert [(fate.row, fate.row_id) for fate in fates] == list(enumerate(inputs.ids, start=1))
    assert [(fate.fate, fate.export_row, fate.parent) for fate in fates] == [
        ("original", 1, None),
        ("merged", 2, 1),
        ("merged", 2, 2),
        ("not in the export", None, None),
    ]


def test_unmatched_rows_are_put_down_to_what_may_have_changed_them():
    roles = {"merge": {"kind": "merger", "gives_ids": True}}
    found = Trace([], unmatched_rows=2, recognised=1)
    (said,), undecided = found.sentences(9, RecipeSteps(("clean_mapper", "merge"), roles))
    assert said.startswith("2 of the 9 rows that entered match no row of INPUT exactly; 1 of them was recognised")
    assert "clean_mapper before our operators may have changed them" in said
    assert not undecided
    (said,), undecided = found.sentences(9, RecipeSteps(("a_filter", "merge"), roles))
    assert "INPUT is not the dataset of this run" in said
    assert undecided


def test_rows_with_more_columns_are_told_from_rows_that_have_changed():
    roles = {"merge": {"kind": "merger", "gives_ids": True}}
    found = Trace([], unmatched_rows=1, widened_rows=8, added=["lang"])
    (widened, unmatched), undecided = found.sentences(9, RecipeSteps(("lang_mapper", "merge"), roles))
    assert widened == (
        "8 of the 9 rows that entered are rows of INPUT with more columns: 'lang'. The values there cannot be proved: "
        "lang_mapper before our operators may have added them."
    )
    assert unmatched.startswith("1 of the 9 rows that entered matches no row")
    assert not undecided
    assert found.sentences(9, RecipeSteps(("a_filter", "merge"), roles))[1]
    assert Trace([]).sentences(9, RecipeSteps(("a_filter", "merge"), roles)) == ([], False)
