"""Tags of instructions: a typed column, only questions, the same however the rows are cut."""

import json
from collections import Counter

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, LLMUnavailableError, RecipeError, TooManyFailuresError
from mergeit_ops.jobs import local_rows
from mergeit_ops.ops import InstructionTagMapper
from tests.llm_server import FakeLLMServer, Reply, error, parents_of
from tests.recipe_runs import make_dataset, write_jsonl, write_recipe
from tests.tiny_models import PLAIN_TEMPLATE, save_parrot

ROWS = [
    {"instruction": "Write a poem about autumn.", "input": "", "output": "Leaves fall, leaves fall."},
    {"instruction": "Write a poem about rain!", "input": "Rain, rain", "output": "Leaves fall."},
    {"instruction": "", "input": "autumn rain", "output": "x"},
    {"instruction": "Sing.", "input": "poem", "output": "poem"},
]


def tags_of(rows, **parameters):
    return InstructionTagMapper(**parameters).run(make_dataset(rows))["tags"][:]


def test_tags_are_key_phrases_of_the_instruction_that_other_rows_have_too():
    # What only an output or an input has is no tag, unless there is no instruction.
    assert tags_of(ROWS) == [["write poem", "autumn"], ["write poem", "rain"], ["autumn", "rain"], []]
    assert tags_of(ROWS, max_tags=1)[0] == ["write poem"]
    assert tags_of(ROWS, ngram_max=1)[0] == ["write", "poem", "autumn"]
    assert tags_of(ROWS, min_tag_count=1)[3] == ["sing"]
    assert tags_of(ROWS, min_tag_count=3.0) == [[]] * 4


def test_all_questions_of_a_conversation_are_tagged_and_no_answer():
    def turns(*texts):
        roles = ["user", "assistant"] * 2
        return {"messages": [{"role": role, "content": text} for role, text in zip(roles, texts, strict=False)]}

    rows = [turns("Sort the list.", "Done: cheese", "Explain recursion."), turns("Explain the list", "cheese")]
    assert tags_of(rows) == [["list", "explain"], ["explain", "list"]]


def test_the_column_holds_lists_of_texts_from_the_first_row_on():
    dataset = InstructionTagMapper().run(make_dataset([ROWS[3], *ROWS[:2]]))
    assert dataset.features.arrow_schema.field("tags").type == pa.list_(pa.string())
    assert dataset["tags"][0] == []
    assert dataset["instruction"][:] == ["Sing.", ROWS[0]["instruction"], ROWS[1]["instruction"]]


def test_tags_do_not_depend_on_how_the_rows_are_cut(sample_rows, monkeypatch):
    whole = tags_of(sample_rows)
    monkeypatch.setattr(local_rows, "READ_ROWS", 37)
    assert tags_of(sample_rows) == whole
    assert sum(map(bool, whole)) > 0.95 * len(whole)


def test_a_column_of_that_name_is_not_overwritten():
    rows = [row | {"tags": "mine"} for row in ROWS]
    with pytest.raises(DatasetError, match="instruction_tag_mapper: there is a column 'tags' already; choose another"):
        InstructionTagMapper().run(make_dataset(rows))
    tagged = InstructionTagMapper(tags_key="intents").run(make_dataset(rows))
    assert (tagged["tags"][0], tagged["intents"][0]) == ("mine", ["write poem", "autumn"])


def test_the_record_says_how_many_tags_rows_have(tmp_path):
    InstructionTagMapper(work_dir=str(tmp_path)).run(make_dataset(ROWS))
    figures = read_manifests(tmp_path)[-1]["figures"]
    assert (figures["untagged"], figures["mean_tags"]) == (1, 1.5)


def test_rows_most_of_which_cannot_be_read_are_refused():
    rows = [row | {"instruction": "", "input": ""} for row in ROWS[:3]] + ROWS[:1]
    with pytest.raises(DatasetError, match="instruction_tag_mapper: 3 of 4 rows have no text"):
        InstructionTagMapper().run(make_dataset(rows))


def tags_reply(body):
    """Answer with the words of the instruction and of the input as tags."""
    (record,) = parents_of(body)
    words = f"{record['instruction']} {record['input']}".lower().split()
    return json.dumps([{"tag": word, "explanation": "It is there."} for word in words])


def asking(server=None, **parameters):
    """Return an operator that asks a server, or one without a server for dry runs."""
    given = {} if server is None else {"model_params": {"base_url": server.base_url}}
    return InstructionTagMapper(**{"tagger": "llm", **given, **parameters})


def numbered(count):
    return [{"instruction": f"Task {number}", "input": "", "output": "x"} for number in range(count)]


def statuses(dataset):
    return Counter(row[STATS]["tags_status"] for row in dataset)


def test_a_model_tags_each_distinct_instruction_once_and_a_second_run_is_free(tmp_path):
    rows = [*ROWS, ROWS[0] | {"output": "other"}, {"instruction": " ", "input": "", "output": "y"}]
    with FakeLLMServer(tags_reply) as server:
        tagged = asking(server, work_dir=str(tmp_path)).run(make_dataset(rows))
        assert len(server.requests) == 4
        again = asking(server, work_dir=str(tmp_path)).run(make_dataset(rows))
        assert len(server.requests) == 4
    assert tagged["tags"][:3] == [["write", "a", "poem", "about", "autumn."], *again["tags"][1:3]]
    assert tagged["tags"][2] == ["autumn", "rain"]
    assert tagged["tags"][4] == tagged["tags"][0]
    assert tagged["tags"][5] == []
    assert statuses(tagged) == {"ok": 5, "empty_instruction": 1}
    assert tagged.features.arrow_schema.field("tags").type == pa.list_(pa.string())
    assert again.to_list() == tagged.to_list()
    assert tagged.remove_columns(["tags", STATS]).to_list() == rows
    records = read_manifests(tmp_path)
    assert {record["model"] for record in records} == {"gpt-4o"}
    first, second = (record["figures"] for record in records)
    assert (first["calls"], first["cache_hits"], first["untagged"], first["failed"]) == (4, 0, 1, {})
    assert (second["calls"], second["cache_hits"]) == (0, 4)


def test_a_row_whose_reply_cannot_be_read_is_kept_without_tags_and_says_why(tmp_path, lines):
    faults = {0: "Tags: poem.", 1: Reply(None), 2: Reply('[{"tag": "po', finish_reason="length"), 3: error(400, "no")}
    faults |= {4: "I'm sorry, but I cannot help with that."}

    def answer(body):
        number = int(parents_of(body)[0]["instruction"].split()[1])
        return faults.get(number) or tags_reply(body)

    with FakeLLMServer(answer) as server:
        tagged = asking(server, work_dir=str(tmp_path), try_num=2).run(make_dataset(numbered(20)))
        asked = Counter(parents_of(body)[0]["instruction"] for body in server.requests)
    found = [row[STATS]["tags_status"] for row in tagged]
    assert found == ["unparsable", "empty", "truncated", "api_failed", "refused", *["ok"] * 15]
    assert tagged["tags"][:6] == [[]] * 5 + [["task", "5"]]
    assert tagged.remove_columns(["tags", STATS]).to_list() == numbered(20)
    assert (asked["Task 0"], asked["Task 5"]) == (2, 1)
    figures = read_manifests(tmp_path)[-1]["figures"]
    assert figures["failed"] == dict.fromkeys(["api_failed", "empty", "refused", "truncated", "unparsable"], 1)
    assert (figures["rows_in"], figures["rows_out"], figures["untagged"]) == (20, 20, 5)
    assert any("by reason: api_failed 1, empty 1, refused 1, truncated 1, unparsable 1." in line for line in lines)


def test_a_reply_that_can_be_read_the_second_time_counts():
    seen = set()

    def answer(body):
        text = parents_of(body)[0]["instruction"]
        first = text not in seen
        seen.add(text)
        return "What?" if first else tags_reply(body)

    with FakeLLMServer(answer) as server:
        assert statuses(asking(server).run(make_dataset(numbered(5)))) == {"ok": 5}
        assert len(server.requests) == 10


def test_a_run_most_of_whose_replies_cannot_be_read_stops_and_keeps_what_was_paid_for(tmp_path):
    def answer(body):
        return tags_reply(body) if parents_of(body)[0]["instruction"].endswith("0") else "What?"

    rows = make_dataset(numbered(100))
    with FakeLLMServer(answer) as server:
        with pytest.raises(TooManyFailuresError, match="unparsable"):
            asking(server, work_dir=str(tmp_path), try_num=1, max_concurrency=1).run(rows)
        spent = read_manifests(tmp_path)[-1]
        assert spent["state"] == "stopped"
        assert spent["figures"]["calls"] == len(server.requests)
        paid = len(server.requests)
        asking(server, try_num=1, max_failure_ratio=1).run(rows)
        readable = [body for body in server.requests[:paid] if answer(body) != "What?"]
        assert len(server.requests) == paid + 100 - len(readable)


@pytest.mark.parametrize("count", [3, 30])
def test_all_of_a_few_failures_stop_a_run_too(count):
    with FakeLLMServer(lambda body: "What?") as server, pytest.raises((TooManyFailuresError, LLMUnavailableError)):
        asking(server, try_num=1).run(make_dataset(numbered(count)))


def test_tags_of_a_model_do_not_depend_on_how_the_rows_are_cut(sample_rows, monkeypatch):
    with FakeLLMServer(tags_reply) as server:
        whole = asking(server, cache_path=None).run(make_dataset(sample_rows)).to_list()
        monkeypatch.setattr(local_rows, "READ_ROWS", 37)
        assert asking(server).run(make_dataset(sample_rows)).to_list() == whole


def test_a_dry_run_tells_the_price_and_asks_nobody(tmp_path):
    prices = {"price_per_1k_prompt": 1.0, "price_per_1k_completion": 2.0}
    tagged = asking(dry_run=True, work_dir=str(tmp_path), **prices).run(make_dataset([*numbered(10), *numbered(5)]))
    assert tagged["tags"][:] == [[]] * 15
    assert statuses(tagged) == {"dry_run": 15}
    figures = read_manifests(tmp_path)[-1]["figures"]
    assert figures["planned_calls"] == 10
    tokens = figures["planned_prompt_tokens"], figures["planned_completion_tokens"]
    assert figures["planned_cost"] == pytest.approx((tokens[0] + 2 * tokens[1]) / 1000)
    # InsTag's pool has 4.48 tags per row.
    assert tokens[1] == 10 * 134
    assert "calls" not in figures


def test_a_budget_of_tokens_leaves_the_rest_without_tags():
    with FakeLLMServer(tags_reply) as server:
        tagged = asking(server, max_total_tokens=2_000, max_concurrency=1).run(make_dataset(numbered(20)))
        assert 0 < len(server.requests) < 20
        assert statuses(tagged) == {"ok": len(server.requests), "budget": 20 - len(server.requests)}


def test_what_cannot_work_is_said_before_any_call():
    with pytest.raises(LLMUnavailableError, match="instruction_tag_mapper: There is no LLM to ask"):
        InstructionTagMapper(tagger="llm")
    with pytest.raises(RecipeError, match="instruction_tag_mapper: base_url belongs to a server"):
        InstructionTagMapper(tagger="instagger", model_params={"base_url": "http://127.0.0.1:1/v1"})
    with pytest.raises(RecipeError, match="instruction_tag_mapper: chat_template in model_params must be a non-empty"):
        InstructionTagMapper(tagger="instagger", model_params={"chat_template": 3})
    with FakeLLMServer(tags_reply) as server:
        with pytest.raises(DatasetError, match="there is a column 'tags' already"):
            asking(server).run(make_dataset([row | {"tags": "mine"} for row in ROWS]))
        with pytest.raises(DatasetError, match="3 of 4 rows have no text"):
            asking(server).run(make_dataset([row | {"instruction": "", "input": ""} for row in ROWS[:3]] + ROWS[:1]))
        assert server.requests == []


def test_instagger_is_a_local_model_with_its_own_template_unless_the_recipe_says_otherwise(tmp_path):
    engine = InstructionTagMapper(tagger="instagger")._engine
    assert engine.model == "OFA-Sys/InsTagger"
    assert engine.backend_factory.sampling_params == {"temperature": 0, "max_tokens": 512}
    assert "USER: " in engine.backend_factory.identity()["model_params"]["chat_template"]
    with FakeLLMServer(lambda body: '{"tag": "a", "explanation": "b"}') as server:
        tagged = asking(server, tagger="instagger", is_hf_model=False).run(make_dataset(ROWS[:1]))
        (request,) = server.requests
    assert request["model"] == "OFA-Sys/InsTagger"
    assert request["messages"][1]["content"].endswith("User query: Write a poem about autumn.")
    assert tagged["tags"][0] == ["a"]


@pytest.mark.parametrize("tagger", ["instagger", "llm"])
def test_a_local_model_tags_rows(tmp_path, tagger):
    model = save_parrot(tmp_path / "model", [['[{"tag": "poem writing", ', '"explanation": "x"}]']])
    given = {"api_or_hf_model": model, "is_hf_model": True, "accelerator": "cpu"}
    if tagger == "instagger":
        given["model_params"] = {"chat_template": PLAIN_TEMPLATE}
    tagged = InstructionTagMapper(tagger=tagger, **given).run(make_dataset(ROWS))
    assert tagged["tags"][:] == [["poem writing"]] * 4


def test_the_greedy_reply_of_a_local_model_is_asked_for_once(tmp_path):
    model = save_parrot(tmp_path / "model", [["What?"]])
    given = {"api_or_hf_model": model, "is_hf_model": True, "accelerator": "cpu", "max_failure_ratio": 1}
    InstructionTagMapper(tagger="llm", work_dir=str(tmp_path / "work"), **given).run(make_dataset(ROWS))
    assert read_manifests(tmp_path / "work")[-1]["figures"]["calls"] == 4


def test_dj_analyze_asks_nothing(tmp_path, monkeypatch):
    from data_juicer.config import init_configs
    from data_juicer.core import Analyzer

    data = write_jsonl(tmp_path / "in.jsonl", ROWS)
    with FakeLLMServer(tags_reply) as server:
        step = {"instruction_tag_mapper": {"tagger": "llm", "model_params": {"base_url": server.base_url}}}
        recipe = write_recipe(tmp_path, [step, {"text_length_filter": {}}], data)
        Analyzer(init_configs(["--config", str(recipe)])).run()
        assert server.requests == []
