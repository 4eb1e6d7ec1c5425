"""Having a language model write merged samples."""

from __future__ import annotations

import json

import pyarrow as pa
import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.checks import MergeChecks
from mergeit_ops.core.merging.conversations import CONVERSATIONS
from mergeit_ops.core.merging.pairing import Group
from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.dataset.derived_columns import DerivedColumns
from mergeit_ops.dataset.merge_table import TopicMerges
from mergeit_ops.dataset.tables import TableList, python_rows
from mergeit_ops.dataset.topics import Topic
from mergeit_ops.jobs.llm_merging import LLMMerging
from mergeit_ops.jobs.merge_judge import MergeJudge
from mergeit_ops.jobs.merge_run import MergeRun
from mergeit_ops.llm.backend import Completion
from tests.llm.conftest import scripted_engine

LAYOUT = resolve_format("alpaca", ["instruction", "output"])
CONVERSATION = CONVERSATIONS["llm"]["worked"]
GOOD = json.dumps({"instruction": "Name both.", "input": "", "output": "A pike and a wren."})


@pytest.fixture
def topic():
    table = pa.table(
        {
            "instruction": ["Name a fish.", "Name a bird.", "Name a tree."],
            "output": ["A pike.", "A wren.", "An oak."],
        }
    )
    readings = [LAYOUT.read(row) for row in table.to_pylist()]
    return TopicMerges(Topic(0, table, {}), ["a", "b", "c"], readings, [Group((0, 1), 0.8)])


def merging(answer, asked=None, **parameters):
    async def complete(messages, params, schema):
        if asked is not None:
            asked.append((messages, params, schema))
        return Completion(answer)

    engine = scripted_engine(complete, cache_path=None, try_num=1, max_failure_ratio=1.0)
    return LLMMerging(engine, "m", CONVERSATION, MergeChecks(), **parameters)


def run(topic, llm):
    work = MergeRun(LAYOUT, TableList(), None, DerivedColumns.parse(None))
    work.sink = work._sink
    llm.run([topic], work, lambda: 1, False, "merger")
    work.finish()
    return work, python_rows(work.sink.table())


def test_an_answer_becomes_the_merged_row_with_its_model_and_prompt(topic):
    asked = []
    work, rows = run(topic, merging(GOOD, asked))
    assert [row["instruction"] for row in rows] == ["Name both.", "Name a tree."]
    ((messages, _, schema),) = asked
    assert messages == CONVERSATION.messages(topic.samples(topic.groups[0]))
    assert schema == CONVERSATION.schema
    meta = rows[0]["__dj__meta__"]
    assert (meta["merge_model"], meta["merge_prompt_sha256"]) == ("m", prompt_sha256(messages))
    assert work.merged == 1


def test_an_answer_that_cannot_be_read_leaves_the_parents(topic):
    work, rows = run(topic, merging("no json"))
    assert [row["instruction"] for row in rows] == ["Name a fish.", "Name a bird.", "Name a tree."]
    assert work.failed == {"unparsable": 1}


def test_a_prompt_of_the_recipe_and_a_cap_on_the_answer_are_sent(topic):
    asked = []
    run(topic, merging(GOOD, asked, system_prompt="Be brief.", max_answer_ratio=2.0))
    ((messages, params, _),) = asked
    assert messages[0] == {"role": "system", "content": "Be brief."}
    assert params["max_tokens"] > 32


def test_a_plan_merges_nothing_and_asks_nobody(topic):
    asked = []
    llm = merging(GOOD, asked, num_candidates=2)
    work = MergeRun(LAYOUT, TableList(), None, DerivedColumns.parse(None))
    plan = llm.plan([topic], work)
    work.finish()
    assert asked == []
    assert plan["calls"] == 2
    assert (work.merged, dict(work.failed)) == (0, {})
    assert llm.in_advance == 2 * llm.engine.settings.max_concurrency


def test_a_plan_judges_up_to_two_hundred_of_the_merges_in_the_journal(tmp_path):
    names = [f"Name fish number {number}." for number in range(500)]
    table = pa.table({"instruction": names, "output": ["A pike."] * 500})
    readings = [LAYOUT.read(row) for row in table.to_pylist()]
    groups = [Group((2 * number, 2 * number + 1), 0.8) for number in range(250)]

    def topic():
        return TopicMerges(Topic(0, table, {}), list(map(str, range(500))), readings, groups)

    async def complete(messages, params, schema):
        return Completion(GOOD)

    engine = scripted_engine(complete, cache_path=str(tmp_path / "answers.db"), max_failure_ratio=1.0)
    llm = LLMMerging(engine, "m", CONVERSATION, MergeChecks())
    run(topic(), llm)
    plans = []
    for judge in (MergeJudge(), None):
        work = MergeRun(LAYOUT, TableList(), None, DerivedColumns.parse(None))
        plans.append(llm.plan([topic()], work, judge))
    assert [plan["cache_hits"] for plan in plans] == [250, 250]
    assert [(plan["judged"], plan["accepted"]) for plan in plans] == [(200, 200), (0, 0)]
