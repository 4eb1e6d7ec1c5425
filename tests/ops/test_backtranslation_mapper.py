"""Samples of texts: what comes out by each method, what is not asked about and why, what it costs."""

import json
from collections import Counter

import pytest

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, LLMUnavailableError, RecipeError, TooManyFailuresError
from mergeit_ops.jobs import local_rows
from mergeit_ops.ops import BacktranslationMapper, SampleScoreFilter, TopicClusterGrouper
from tests.llm_server import MODEL, FakeLLMServer, Reply, backtranslated, error, parents_of
from tests.recipe_runs import make_dataset, read_jsonl, run_recipe, write_jsonl, write_recipe
from tests.tiny_models import save_parrot

RYE = "Rye is a bread of the north.\n\nIt keeps for a week and more, because its dough is sour."
WRITTEN = ("instruction", "input", "output")


def writing(server=None, **parameters):
    """Return an operator that asks a server, or one without a server for dry runs."""
    given = {} if server is None else {"model_params": {"base_url": server.base_url}}
    return BacktranslationMapper(**{"min_chars": 0, **given, **parameters})


@pytest.fixture(autouse=True)
def _key(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")


@pytest.fixture
def server():
    with FakeLLMServer(backtranslated) as started:
        yield started


def numbered(count):
    return [{"text": f"Text {number} is about bread.", "n": number} for number in range(count)]


def statuses(dataset):
    return [row[META]["backtranslation_status"] for row in dataset]


def test_the_text_is_the_output_to_the_letter_and_the_metadata_say_what_made_the_instruction(server):
    (row,) = writing(server).run(make_dataset([{"text": RYE, "url": "a"}]))
    meta = row.pop(META)
    assert row == {
        "url": "a",
        "instruction": "Tell me about this: Rye is a bread of the",
        "input": "",
        "output": RYE,
    }
    assert (meta["backtranslation_status"], meta["backtranslation_method"]) == ("ok", "instruction")
    assert (meta["backtranslation_source"], meta["backtranslation_model"]) == (RYE, MODEL)
    assert len(meta["backtranslation_prompt_sha256"]) == 64


def test_a_task_has_three_parts_and_its_source_in_the_metadata(server):
    server.answer = lambda body: "#instruction#: What keeps?\n#input#: rye, wheat\n#output#: Rye."
    (row,) = writing(server, method="grounded_task").run(make_dataset([{"text": RYE}]))
    assert [row[name] for name in WRITTEN] == ["What keeps?", "rye, wheat", "Rye."]
    assert row[META]["backtranslation_source"] == RYE
    assert "response_format" not in server.requests[0]


def test_columns_have_the_names_that_are_asked_for(server):
    keys = {"instruction_key": "q", "query_key": "context", "response_key": "a"}
    (row,) = writing(server, text_key="a", **keys).run(make_dataset([{"a": RYE}]))
    assert (row["a"], row["context"]) == (RYE, "")
    assert set(row) == {"q", "context", "a", META}


def test_texts_out_of_bounds_are_kept_without_a_sample_or_dropped_and_no_call_is_made_for_them(server, tmp_path, lines):
    texts = ["x" * 99, "x" * 100, "x" * 200, "x" * 201, "x" * 120 + "\nHome", None, " ", "x" * 100]
    rows = [{"text": text, "n": number} for number, text in enumerate(texts)]
    bounds = {"min_chars": 100, "max_chars": 200, "min_line_chars": 5, "work_dir": str(tmp_path)}
    kept = writing(server, **bounds).run(make_dataset(rows))
    expected = ["too_short", "ok", "ok", "too_long", "short_line", "bad_row", "bad_row", "ok"]
    assert statuses(kept) == expected
    assert all(row[name] == "" for row, why in zip(kept, expected, strict=True) if why != "ok" for name in WRITTEN)
    assert [row[META]["backtranslation_source"] for row in kept] == texts
    assert len(server.requests) == 2
    dropped = writing(server, on_failure="drop", **bounds).run(make_dataset(rows))
    assert dropped["n"][:] == [1, 2, 7]
    assert dropped.features == kept.features
    first, second = (record["figures"] for record in read_manifests(tmp_path))
    reasons = {"bad_row": 2, "short_line": 1, "too_long": 1, "too_short": 1}
    assert first["without_sample"] == second["without_sample"] == reasons
    assert (first["rows_out"], first["filtered_out"], first["backtranslated"]) == (8, 0, 3)
    assert (second["rows_in"], second["rows_out"], second["filtered_out"]) == (8, 3, 5)
    assert any("kept without one, by reason: bad_row 2, short_line 1, too_long 1" in line for line in lines)
    assert any("are dropped, by reason: bad_row 2" in line for line in lines)


def test_a_text_without_a_usable_reply_says_why(server, tmp_path):
    faults = {
        0: "How is it?",
        1: Reply(None),
        2: Reply('{"instruction": "Te', finish_reason="length"),
        3: error(400, "no"),
        4: "I'm sorry, but I cannot help with that.",
        5: '{"instruction": " "}',
        6: json.dumps({"instruction": "Text 6 is about bread."}),
        7: json.dumps({"instruction": "パンについて"}),
        8: json.dumps({"instruction": "What is at https://example.org?"}),
        9: json.dumps({"instruction": "What does the text above say?"}),
    }

    def answer(body):
        number = int(parents_of(body)[0]["text"].split()[1])
        return faults.get(number) or backtranslated(body)

    server.answer = answer
    made = writing(server, work_dir=str(tmp_path), try_num=2).run(make_dataset(numbered(30)))
    reasons = ["unparsable", "empty", "truncated", "api_failed", "refused", "empty", "echo", "language"]
    reasons += ["new_url", "procedure"]
    assert statuses(made) == [*reasons, *["ok"] * 20]
    assert [row[META]["backtranslation_model"] for row in made] == [*[None] * 10, *[MODEL] * 20]
    figures = read_manifests(tmp_path)[-1]["figures"]
    assert figures["without_sample"] == dict(sorted(Counter(reasons).items()))
    assert figures["backtranslated"] == 20


def test_a_reply_that_breaks_a_rule_is_sent_back_with_what_is_wrong(server):
    seen = []

    def answer(body):
        seen.append(body["messages"])
        return '{"instruction": "Sum up the given text."}' if len(body["messages"]) == 2 else backtranslated(body)

    server.answer = answer
    assert statuses(writing(server).run(make_dataset([{"text": RYE}]))) == ["ok"]
    assert [len(messages) for messages in seen] == [2, 4]
    assert 'does not have ("the given text")' in seen[1][3]["content"]
    writing(server).run(make_dataset([{"text": RYE}]))
    assert len(seen) == 2


def test_equal_texts_are_asked_about_once_and_a_second_run_is_free(server):
    rows = [*numbered(5), *[row | {"n": row["n"] + 5} for row in numbered(5)]]
    once = writing(server, cache_path=None).run(make_dataset(rows))
    assert len(server.requests) == 5
    assert once["instruction"][:5] == once["instruction"][5:]
    writing(server).run(make_dataset(rows))
    assert writing(server).run(make_dataset(rows)).to_list() == once.to_list()
    assert len(server.requests) == 10


def test_rows_do_not_depend_on_how_they_are_cut(server, sample_rows, monkeypatch):
    rows = [{"text": row["output"], "id": row["id"]} for row in sample_rows]
    whole = writing(server, cache_path=None).run(make_dataset(rows)).to_list()
    monkeypatch.setattr(local_rows, "READ_ROWS", 37)
    assert writing(server).run(make_dataset(rows)).to_list() == whole


def test_a_dry_run_tells_the_price_and_asks_nobody_nor_does_a_judge_behind_it(tmp_path, monkeypatch):
    monkeypatch.delenv("OPENAI_API_KEY")
    prices = {"price_per_1k_prompt": 1.0, "price_per_1k_completion": 2.0}
    rows = [*numbered(10), {"text": None, "n": 10}, {"text": "Text 0 is about bread.", "n": 11}]
    operator = writing(dry_run=True, on_failure="drop", work_dir=str(tmp_path), **prices)
    made = operator.run(make_dataset(rows))
    assert statuses(made) == [*["dry_run"] * 10, "bad_row", "dry_run"]
    assert [row["output"] for row in made] == [""] * 12
    figures = read_manifests(tmp_path)[-1]["figures"]
    assert (figures["planned_calls"], figures["planned_completion_tokens"]) == (10, 500)
    cost = figures["planned_prompt_tokens"] + 2 * figures["planned_completion_tokens"]
    assert figures["planned_cost"] == pytest.approx(cost / 1000)
    assert "calls" not in figures
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    params = {"rubric": "humpback", "model_params": {"base_url": "http://127.0.0.1:9/v1"}}
    assert len(SampleScoreFilter(scorer="llm_judge", scorer_params=params, min_score=5).run(made)) == 12


def test_a_budget_of_tokens_leaves_the_rest_without_a_sample(server):
    found = statuses(writing(server, max_total_tokens=4_000, max_concurrency=1).run(make_dataset(numbered(20))))
    assert set(found) == {"ok", "budget"}
    assert server.tokens <= 4_000


def test_a_run_most_of_whose_replies_cannot_be_used_stops(server, tmp_path):
    server.answer = lambda body: "What?"
    with pytest.raises((TooManyFailuresError, LLMUnavailableError)):
        writing(server, work_dir=str(tmp_path), try_num=1).run(make_dataset(numbered(60)))
    assert read_manifests(tmp_path)[-1]["state"] == "stopped"


def test_a_local_model_writes_instructions(tmp_path):
    model = save_parrot(tmp_path / "model", [['{"instruction": "What is rye?"}']])
    given = {"api_or_hf_model": model, "is_hf_model": True, "accelerator": "cpu"}
    (row,) = writing(**given).run(make_dataset([{"text": RYE}]))
    assert (row["instruction"], row["output"]) == ("What is rye?", RYE)


@pytest.mark.parametrize(
    ("parameters", "sentence"),
    [
        (
            {"sample_format": "messages"},
            "sample_format must be 'auto' or 'alpaca', the layout that it writes, got 'mess",
        ),
        ({"min_chars": 9, "max_chars": 8}, r"min_chars \(9\) must not be above max_chars \(8\)"),
        (
            {"query_key": "output"},
            "query_key and response_key must name three columns, got 'instruction', 'output', 'o",
        ),
    ],
)
def test_parameters_that_cannot_work_are_refused(parameters, sentence):
    with pytest.raises(RecipeError, match=f"backtranslation_mapper: .*{sentence}"):
        writing(**parameters)


@pytest.mark.parametrize(
    ("rows", "sentence"),
    [
        (
            [{"body": RYE, "url": "a"}],
            "the column 'text' of the texts is missing; the dataset has: 'body', 'url'. Name",
        ),
        ([{"text": 5}], "the column 'text' holds values of type int64, not texts"),
        ([{"text": [RYE], "n": 1}], "the column 'text' holds values of type list"),
        ([{"text": {"en": RYE}}], "the column 'text' holds values of type struct"),
        ([{"text": None}, {"text": " "}, {"text": RYE}], "2 of 3 rows have no text in the column 'text'"),
        ([{"text": None}], "1 of 1 row has no text in the column 'text'"),
        ([{"text": RYE, "output": "x"}], "there is a column 'output' already, which would be overwritten"),
    ],
    ids=["missing", "number", "list", "struct", "mostly blank", "null", "written already"],
)
def test_rows_that_cannot_work_are_refused_before_any_call(server, rows, sentence):
    with pytest.raises(DatasetError, match=f"backtranslation_mapper: {sentence}"):
        writing(server).run(make_dataset(rows))
    assert server.requests == []


WORDS = {"words_num_filter": {"min_num": 1}}


def recipe_of_texts(tmp_path, server, *behind, **parameters):
    data = write_jsonl(tmp_path / "in.jsonl", numbered(30))
    given = {"min_chars": 0, "model_params": {"base_url": server.base_url}, **parameters}
    return write_recipe(tmp_path, [WORDS, {"backtranslation_mapper": given}, *behind], data, text_keys="text")


def test_a_later_operator_that_reads_the_text_where_it_no_longer_is_is_refused_before_any_call(server, tmp_path):
    """Data-Juicer would drop all rows, and end with exit code 0."""
    with pytest.raises(
        RecipeError, match=r"moves the column 'text' into the metadata, but text_key of words_num_filter"
    ):
        run_recipe(recipe_of_texts(tmp_path, server, WORDS))
    assert server.requests == []


def test_later_operators_of_data_juicer_find_the_output_where_the_text_was_if_it_is_written_there(server, tmp_path):
    rows = read_jsonl(run_recipe(recipe_of_texts(tmp_path, server, WORDS, response_key="text")))
    assert [row["text"] for row in rows] == [row["text"] for row in numbered(30)]
    assert all(row[STATS]["num_words"] > 0 for row in rows)
    select = {"general_field_filter": {"filter_condition": "n < 7"}}
    assert len(read_jsonl(run_recipe(recipe_of_texts(tmp_path, server, select)))) == 7


def test_topics_are_refused_and_so_is_a_missing_key(server, monkeypatch):
    topics = TopicClusterGrouper(num_clusters=2).run(
        make_dataset([{"instruction": row["text"], "output": "x", "text": row["text"]} for row in numbered(6)])
    )
    with pytest.raises(DatasetError, match="the rows are topics; put this operator before the grouper"):
        writing(server).run(topics)
    monkeypatch.delenv("OPENAI_API_KEY")
    with pytest.raises(LLMUnavailableError, match="backtranslation_mapper: There is no LLM to ask"):
        writing()
