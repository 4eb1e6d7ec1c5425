"""Rewriting rows: what comes out in every layout, what stays and why, what it costs."""

import json
from collections import Counter

import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.core.text.words import count_words
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, LLMUnavailableError, RecipeError, TooManyFailuresError
from mergeit_ops.jobs import local_rows
from mergeit_ops.ops import InstructionRewriteMapper, TopicClusterGrouper
from tests.llm_server import MODEL, FakeLLMServer, Reply, error, merge_answer, parents_of
from tests.recipe_runs import make_dataset, run_recipe, write_jsonl, write_recipe
from tests.tiny_models import save_parrot

FRUITS = {"instruction": "Name three fruits.", "input": "", "output": "Apple, pear, plum."}


def rewriting(server=None, **parameters):
    """Return an operator that asks a server, or one without a server for dry runs."""
    given = {} if server is None else {"model_params": {"base_url": server.base_url}}
    return InstructionRewriteMapper(**{**given, **parameters})


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")


@pytest.fixture
def server():
    with FakeLLMServer(merge_answer) as started:
        yield started


def numbered(count):
    return [{"instruction": f"Task {number}", "input": "", "output": "x", "n": number} for number in range(count)]


def statuses(dataset):
    return Counter(row[META]["rewrite_error"] or row[META]["rewrite_status"] for row in dataset)


def test_a_tree_grows_by_twelve_words_or_more_and_the_row_as_it_was_stays_in_the_metadata(server):
    (row,) = rewriting(server, add_nodes=6).run(make_dataset([FRUITS | {"source": "a"}]))
    meta = row.pop(META)
    assert row["instruction"].startswith("Name three fruits. please")
    assert 27 <= count_words(row["instruction"]) <= 100
    assert (row["input"], row["output"], row["source"]) == ("", "4", "a")
    assert decode_row(meta["rewrite_parent"]) == FRUITS | {"source": "a"}
    assert (meta["rewrite_status"], meta["rewrite_method"], meta["nodes_added"]) == ("rewritten", "tree", 6)
    assert (meta["rewrite_model"], len(meta["rewrite_prompt_sha256"])) == (MODEL, 64)
    assert len(server.requests) == 3


@pytest.mark.parametrize(("method", "calls"), [("deepen", 2), ("broaden", 2), ("revise", 1)])
def test_the_other_methods(server, method, calls):
    (row,) = rewriting(server, method=method).run(make_dataset([FRUITS]))
    assert row[META]["rewrite_method"] == method
    assert row[META]["nodes_added"] == 0
    assert row["output"] == ("Apple, pear, plum. That is all." if method == "revise" else "4")
    assert (row["instruction"] == FRUITS["instruction"]) == (method == "revise")
    assert len(server.requests) == calls


def turns(*texts):
    roles = ["user", "assistant"] * 2
    return [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]


def test_a_layout_that_comes_in_goes_out(server):
    chats = [{"messages": [{"role": "system", "content": "Be short."}, *turns("Name fruits.", "Pear.")], "k": 1}]
    (row,) = rewriting(server).run(make_dataset(chats))
    system, user, assistant = row["messages"]
    assert system["content"] == "Be short."
    assert user["content"].startswith("Name fruits. please")
    assert assistant == {"role": "assistant", "content": "4"}
    assert server.requests[-1]["messages"][0]["content"] == "Be short."
    assert decode_row(row[META]["rewrite_parent"]) == chats[0]
    (row,) = rewriting(server).run(make_dataset([{"query": "Name fruits.", "response": "Pear."}]))
    assert row["query"].startswith("Name fruits. please")
    assert row["response"] == "4"
    (row,) = rewriting(server).run(
        make_dataset([{"conversations": [{"from": "human", "value": "Go."}, {"from": "gpt", "value": "No."}]}])
    )
    assert [turn["value"][:10] for turn in row["conversations"]] == ["Go. please", "4"]


def test_rows_that_cannot_be_rewritten_stay_and_no_call_is_made_for_them(server):
    rows = [
        FRUITS | {"instruction": " "},
        FRUITS | {"output": None},
        FRUITS | {"output": "<think>Hm.</think>Pear."},
        FRUITS | {"instruction": "w " * 95},
        FRUITS | {"history": [["What?", "That."]]},
        *[FRUITS] * 5,
    ]
    rows = [{"history": None, **row} for row in rows]
    made = rewriting(server).run(make_dataset(rows))
    assert statuses(made) == {"bad_row": 2, "reasoning": 1, "too_many_words": 1, "multi_turn": 1, "rewritten": 5}
    assert [{name: row[name] for name in rows[0]} for row in made][:5] == rows[:5]
    # Five equal rows are one chain.
    assert len(server.requests) == 2


def test_a_conversation_of_several_turns_stays_as_it_was(server):
    rows = [{"messages": turns("a", "b", "c", "d")}, {"messages": turns("Name fruits.", "Pear.")}]
    first, second = rewriting(server).run(make_dataset(rows))
    assert (first["messages"], first[META]["rewrite_error"]) == (rows[0]["messages"], "multi_turn")
    assert second[META]["rewrite_status"] == "rewritten"


def test_without_a_new_response_the_old_one_does_not_stay(server):
    (row,) = rewriting(server, regenerate_response=False).run(make_dataset([FRUITS]))
    assert row["output"] == ""
    assert decode_row(row[META]["rewrite_parent"])["output"] == FRUITS["output"]
    assert len(server.requests) == 1


def test_columns_that_are_made_of_the_texts_are_made_anew(server):
    rows = [FRUITS | {"text": "old", "n": 1}, FRUITS | {"text": "kept", "output": " ", "n": 2}]
    made = rewriting(server, derived_columns={"text": "{instruction}|{output}|{n}"}).run(make_dataset(rows))
    assert made["text"][:] == [f"{made['instruction'][0]}|4|1", "kept"]
    for wrong, sentence in [
        ({"other": "{output}"}, "derived_columns names the column 'other', which the dataset lacks"),
        ({"output": "{instruction}"}, "derived_columns names the column 'output', which the operator itself writes"),
    ]:
        with pytest.raises(RecipeError, match=sentence):
            rewriting(server, derived_columns=wrong).run(make_dataset(rows))
    with pytest.raises(RecipeError, match="derived_columns has a template for 'text' that cannot be used"):
        rewriting(server, derived_columns={"text": "{"})


def test_a_reply_that_breaks_a_rule_is_sent_back_with_what_is_wrong(server):
    seen = []

    def answer(body):
        if not parents_of(body):
            return merge_answer(body)
        seen.append(body["messages"])
        return '{"instruction": "Name four fruits."}' if len(body["messages"]) == 2 else merge_answer(body)

    server.answer = answer
    (row,) = rewriting(server).run(make_dataset([FRUITS]))
    assert row[META]["rewrite_status"] == "rewritten"
    assert [len(messages) for messages in seen] == [2, 4]
    assert "Your instruction has 3 words, but it must have 15 to 100." in seen[1][3]["content"]
    rewriting(server).run(make_dataset([FRUITS]))
    assert len(seen) == 2


def test_a_row_whose_calls_fail_stays_and_says_why(server, tmp_path, lines):
    faults = {
        0: "Here you are.",
        1: Reply(None),
        2: Reply('{"instruction": "Ta', finish_reason="length"),
        3: error(400, "no"),
        4: "I'm sorry, but I cannot help with that.",
        5: '{"instruction": 5}',
        6: '{"instruction": "Task 6 again"}',
        7: json.dumps({"instruction": "任务七" * 20}),
        8: json.dumps({"instruction": "Task 8 " + "and more " * 10 + "at https://example.org"}),
        9: json.dumps({"instruction": "Task 9 " + "and more " * 10 + "by semantic parsing"}),
        10: json.dumps({"instruction": "Task 10"}),
    }

    def answer(body):
        records = parents_of(body)
        if not records:
            # The response of one row is refused.
            refused = body["messages"][-1]["content"].startswith("Task 11 ")
            return "I'm sorry, but I cannot help with that." if refused else "Done."
        return faults.get(int(records[0]["instruction"].split()[1])) or merge_answer(body)

    server.answer = answer
    made = rewriting(server, work_dir=str(tmp_path), try_num=2).run(make_dataset(numbered(30)))
    reasons = ["unparsable", "empty", "truncated", "api_failed", "refused", "unparsable", "length", "language"]
    reasons += ["new_url", "procedure", "echo", "refused"]
    assert [row[META]["rewrite_error"] for row in made] == [*reasons, *[None] * 18]
    assert [{name: row[name] for name in row if name != META} for row in made][:12] == numbered(12)
    assert all(row["output"] == "Done." for row in made.to_list()[12:])
    figures = read_manifests(tmp_path)[-1]["figures"]
    assert figures["failed"] == dict(sorted(Counter(reasons).items()))
    assert (figures["rows_in"], figures["rows_out"], figures["rewritten"]) == (30, 30, 18)
    assert any("samples that stay as they were, by reason: api_failed 1, echo 1" in line for line in lines)


def test_rows_do_not_depend_on_how_they_are_cut(server, sample_rows, monkeypatch):
    whole = rewriting(server, cache_path=None).run(make_dataset(sample_rows)).to_list()
    monkeypatch.setattr(local_rows, "READ_ROWS", 37)
    assert rewriting(server).run(make_dataset(sample_rows)).to_list() == whole


def test_a_row_is_rewritten_a_second_time_and_all_that_it_was_is_there(server):
    once = rewriting(server).run(make_dataset([FRUITS]))
    (row,) = rewriting(server, method="revise").run(once)
    parent = decode_row(row[META]["rewrite_parent"])
    assert parent["instruction"] == once[0]["instruction"]
    assert decode_row(parent[META]["rewrite_parent"]) == FRUITS


def test_a_dry_run_tells_the_price_of_every_call_and_asks_nobody(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    prices = {"price_per_1k_prompt": 1.0, "price_per_1k_completion": 2.0}
    rows = make_dataset([*numbered(10), FRUITS | {"n": 1, "output": ""}])
    made = rewriting(dry_run=True, add_nodes=6, work_dir=str(tmp_path), **prices).run(rows)
    assert made.to_list() == rows.to_list()
    figures = read_manifests(tmp_path)[-1]["figures"]
    assert figures["planned_calls"] == 30
    tokens = figures["planned_prompt_tokens"], figures["planned_completion_tokens"]
    assert figures["planned_cost"] == pytest.approx((tokens[0] + 2 * tokens[1]) / 1000)
    assert figures["kept"] == {"bad_row": 1}
    assert "calls" not in figures


def test_a_budget_of_tokens_leaves_the_rest_as_it_was(server):
    made = rewriting(server, max_total_tokens=4_000, max_concurrency=1).run(make_dataset(numbered(20)))
    found = statuses(made)
    assert set(found) <= {"rewritten", "budget"}
    assert found["budget"] > 0
    assert server.tokens <= 4_000
    # Rows are finished one after the other, so that what is paid for is of use.
    assert found["rewritten"] >= 2
    assert len(server.requests) - 2 * found["rewritten"] <= 2
    assert all(row["instruction"] == f"Task {row['n']}" for row in made if row[META]["rewrite_error"])


def test_a_run_most_of_whose_replies_cannot_be_used_stops_and_keeps_what_was_paid_for(server, tmp_path):
    server.answer = lambda body: "What?" if parents_of(body) else merge_answer(body)
    with pytest.raises((TooManyFailuresError, LLMUnavailableError)):
        rewriting(server, work_dir=str(tmp_path), try_num=1).run(make_dataset(numbered(60)))
    assert read_manifests(tmp_path)[-1]["state"] == "stopped"


def test_a_local_model_rewrites(tmp_path):
    text = '{"instruction": "Name three fruits and more", "output": "Pear."}'
    model = save_parrot(tmp_path / "model", [[text]])
    given = {"api_or_hf_model": model, "is_hf_model": True, "accelerator": "cpu"}
    (row,) = rewriting(method="revise", **given).run(make_dataset([FRUITS]))
    assert (row["instruction"], row["output"]) == ("Name three fruits and more", "Pear.")


def test_the_response_of_a_local_model_may_be_longer_than_its_short_request(tmp_path):
    pieces = [
        '{"instruction": "Name three fruits and more", "more": "',
        *(f"w{number} " for number in range(150)),
        '"}',
    ]
    model = save_parrot(tmp_path / "model", [pieces])
    given = {"api_or_hf_model": model, "is_hf_model": True, "accelerator": "cpu"}
    (row,) = rewriting(method="deepen", **given).run(make_dataset([FRUITS | {"system": "x"}]))
    assert row["output"] == "".join(pieces)


def test_between_a_merger_and_its_gate_it_makes_no_call(server, tmp_path, embedded_rows):
    grouper = {"topic_cluster_grouper": {"num_clusters": 3}}
    merger = {"llm_pair_merger_mapper": {"merge_strategy": "concat"}}
    gate = {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength"}}
    own = {"instruction_rewrite_mapper": {"model_params": {"base_url": server.base_url}}}
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows[:30])
    with pytest.raises(RecipeError, match="instruction_rewrite_mapper: it stands between a merger and its gate"):
        run_recipe(write_recipe(tmp_path, [grouper, merger, own, gate], data))
    assert server.requests == []
    run_recipe(write_recipe(tmp_path, [grouper, merger, own], data))
    assert server.requests


def test_what_cannot_work_is_said_before_any_call(server, monkeypatch):
    for parameters, sentence in [
        ({"add_nodes": 4}, "add_nodes must be a multiple of 3, got 4"),
        ({"method": "deepen", "add_nodes": 6}, "add_nodes works with method 'tree' only, got method 'deepen'"),
        (
            {"method": "revise", "regenerate_response": False},
            "regenerate_response works with method 'tree', 'deepen', 'broaden' only, got method 'revise'",
        ),
    ]:
        with pytest.raises(RecipeError, match=f"instruction_rewrite_mapper: {sentence}"):
            rewriting(server, **parameters)
    with pytest.raises(DatasetError, match="3 of 4 rows have no text"):
        rewriting(server).run(make_dataset([FRUITS | {"instruction": ""}] * 3 + [FRUITS]))
    with pytest.raises(DatasetError, match=r"instruction_rewrite_mapper: .*column"):
        rewriting(server).run(make_dataset([{"text": "a"}]))
    topics = TopicClusterGrouper(num_clusters=2).run(make_dataset(numbered(6)))
    with pytest.raises(DatasetError, match="the rows are topics; put this operator before the grouper"):
        rewriting(server).run(topics)
    assert server.requests == []
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(LLMUnavailableError, match="instruction_rewrite_mapper: There is no LLM to ask"):
        rewriting()
