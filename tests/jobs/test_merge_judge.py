"""Judging merges before they are rows."""

from __future__ import annotations

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.core.sample import Sample
from mergeit_ops.dataset.merge_table import Merge, TopicMerges
from mergeit_ops.dataset.topics import Topic
from mergeit_ops.jobs.merge_judge import Case, MergeJudge
from mergeit_ops.ops import LLMPairMergerMapper, QualityGateFilter, TopicClusterGrouper
from tests.llm_server import FakeLLMServer
from tests.planted_pairs import planted_rows
from tests.recipe_runs import make_dataset

LAYOUT = resolve_format("alpaca", ["instruction", "output"])
SAMPLES = [Sample("Name a fish.", "", "A pike."), Sample("Name a bird.", "", "A wren.")]
BOTH = Sample("Name a fish and a bird.", "In Europe.", "A pike and a wren.")
HALF = Sample("Name a fish.", "", "A pike and a pike, and then another pike.")


@pytest.fixture
def topic() -> TopicMerges:
    table = pa.table({"instruction": [one.instruction for one in SAMPLES], "output": [one.output for one in SAMPLES]})
    readings = [LAYOUT.read(row) for row in table.to_pylist()]
    return TopicMerges(Topic(0, table, {}), ["a", "b"], readings, [Group((0, 1), 0.8)])


def case(topic: TopicMerges, merge: Merge) -> Case:
    return Case.of(topic, 0, merge, LAYOUT)


def gate(**parameters) -> MergeJudge:
    by_length = {"scorer": "tests.user_scorers:ByLength", **parameters}
    return MergeJudge((QualityGateFilter(**by_length).job(LAYOUT),))


def test_without_a_gate_each_merge_that_is_made_is_accepted(topic):
    cases = [case(topic, Merge((HALF,))), case(topic, Merge(error="unparsable"))]
    assert MergeJudge().accepted(cases) == [True, False]


@pytest.mark.parametrize("reason", list(FailureReason))
def test_a_failure_that_is_not_about_the_pair_says_nothing(topic, reason):
    (verdict,) = MergeJudge().accepted([case(topic, Merge(error=reason.value))])
    assert verdict is (None if reason in ("api_failed", "budget", "unlikely") else False)


def test_a_merge_has_to_pass_every_gate_by_its_score_and_by_its_coverage(topic):
    cases = [case(topic, Merge((BOTH,))), case(topic, Merge((HALF,))), case(topic, Merge((HALF, BOTH)))]
    assert gate().accepted(cases) == [True, True, True]
    assert gate(min_parent_coverage=0.5).accepted(cases) == [True, False, True]
    assert gate(gamma=99.0).accepted(cases) == [False, False, False]
    both = MergeJudge((*gate().gates, *gate(min_parent_coverage=0.5).gates))
    assert both.accepted(cases) == [True, False, True]


def test_an_answer_is_read_as_its_row_will_be(topic):
    """A layout without an input column has the input in the instruction."""
    (answer,) = case(topic, Merge((BOTH,))).answers
    assert answer.input == ""
    assert "In Europe." in answer.instruction


@pytest.mark.parametrize("gamma", [0.5, 1.98, 2.5])
def test_verdicts_are_those_of_the_gate_on_the_same_merges(gamma):
    gating = QualityGateFilter(scorer="tests.user_scorers:ByLength", gamma=gamma)
    topics = TopicClusterGrouper(num_clusters=2).run(make_dataset(planted_rows(16)))
    pairing = {"similarity_threshold": 0.5, "similarity_threshold_scale": "raw"}
    with FakeLLMServer() as server:
        merged = LLMPairMergerMapper(model_params={"base_url": server.base_url}, **pairing).run(topics)
    layout = gating.layout_of(merged.column_names)
    rows = [row for row in merged if row[META]["merge_status"] == "merged"]
    parents = [[layout.read(decode_row(text)).sample for text in row[META]["merge_parents"]] for row in rows]
    cases = [Case((layout.read(row).sample,), tuple(of), True) for row, of in zip(rows, parents, strict=True)]
    verdicts = MergeJudge((gating.job(layout),)).accepted(cases)
    gated = gating.run(merged)
    accepted = {row["instruction"] for row in gated if row[META]["merge_status"] == "merged"}
    assert verdicts == [row["instruction"] in accepted for row in rows]
    assert {0.5: 16, 2.5: 0}.get(gamma, len(accepted)) == len(accepted)
