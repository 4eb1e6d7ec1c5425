"""Recorded answers: each goes to the records that it was written for, and to no others."""

from __future__ import annotations

import json

import pytest

from mergeit_ops.core.merging.prompts import build_messages, records_block
from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings

TEA, MILK, RYE = (
    Sample(f"Describe {name}.", text, "It is good.") for name, text in [("tea", ""), ("milk", "hot"), ("<rye>", "")]
)


def line(*samples, answer):
    records = [{"instruction": sample.instruction, "input": sample.input} for sample in samples]
    return json.dumps({"records": records, "answer": answer}) + "\n"


@pytest.fixture
def file(tmp_path):
    path = tmp_path / "recorded.jsonl"
    path.write_text(
        line(TEA, MILK, answer={"instruction": "both"}) + line(RYE, answer="as it stands"), encoding="utf-8"
    )
    return path


def engine_of(path, **settings):
    settings = {"cache_path": None, "max_failure_ratio": 1.0} | settings
    return build_engine(LLMSettings(api_or_hf_model=str(path), backend="recorded", **settings))


def asking_about(group):
    if len(group) > 1:
        return build_messages(group)
    return [{"role": "user", "content": f"Rate this.\n\n{records_block(group)}"}]


def outcomes(engine, *asked):
    found = {}
    requests = [LLMRequest(tag=number, messages=asking_about(group), parse=str) for number, group in enumerate(asked)]
    engine.run(requests, lambda one: found.update({one.tag: one.error or one.answers[0]}))
    return [found[number] for number in range(len(asked))]


def test_records_have_their_answer_in_either_order_whatever_the_prompt_says(file):
    found = outcomes(engine_of(file), [TEA, MILK], [MILK, TEA], [RYE])
    assert found == ['{"instruction": "both"}', '{"instruction": "both"}', "as it stands"]


def test_records_without_an_answer_are_refused_each_for_itself(file):
    other = Sample("Describe tea.", "green", "It is good.")
    found = outcomes(engine_of(file), [TEA], [other, MILK], [TEA, MILK], *[[Sample(str(n), "", "x")] for n in range(9)])
    assert found[:3] == [FailureReason.REFUSED, FailureReason.REFUSED, '{"instruction": "both"}']
    assert set(found[3:]) == {FailureReason.REFUSED}


def test_answers_are_found_in_the_journal_until_the_file_changes(file, tmp_path):
    journal = str(tmp_path / "answers.sqlite3")

    def cache_hits():
        engine = engine_of(file, cache_path=journal)
        outcomes(engine, [TEA, MILK])
        return engine.total.cache_hits

    assert [cache_hits(), cache_hits()] == [0, 1]
    with file.open("a", encoding="utf-8") as opened:
        opened.write(line(MILK, answer="x"))
    assert cache_hits() == 0


def test_an_answer_that_was_corrected_is_the_one_that_is_given(file):
    assert outcomes(engine_of(file), [RYE]) == ["as it stands"]
    file.write_text(line(RYE, answer="corrected"), encoding="utf-8")
    assert outcomes(engine_of(file), [RYE]) == ["corrected"]


@pytest.mark.parametrize("records", ['[{"text": "a"}]', "[1]", "no JSON", '{"a": 1}'])
def test_a_request_about_something_else_is_refused(file, records):
    messages = [{"role": "user", "content": f"<records>\n{records}\n</records>"}]
    found = []
    engine_of(file).run([LLMRequest(tag=0, messages=messages, parse=str)], found.append)
    assert [one.error for one in found] == [FailureReason.REFUSED]


def test_a_file_that_cannot_be_read_is_one_sentence_before_any_work(tmp_path):
    with pytest.raises(LLMUnavailableError, match=r"recorded answers '.*none.jsonl' cannot be read .*api_or_hf_model"):
        engine_of(tmp_path / "none.jsonl").check()
    bad = tmp_path / "bad.jsonl"
    bad.write_text(line(TEA, answer="x") + '{"records": [1]}\n', encoding="utf-8")
    with pytest.raises(LLMUnavailableError, match="Line 2 of the recorded answers"):
        engine_of(bad).check()


@pytest.mark.parametrize(
    "wrong", [{"api_endpoint": "/x"}, {"model_params": {"base_url": "http://x"}}, {"api_mode": "batch"}]
)
def test_what_belongs_to_a_server_is_refused(file, wrong):
    with pytest.raises(RecipeError, match="recorded"):
        engine_of(file, **wrong, **({"cache_path": "auto"} if "api_mode" in wrong else {}))


def test_the_model_of_a_merge_is_called_recorded(file):
    assert engine_of(file).model == "recorded: recorded.jsonl"
    assert not engine_of(file).asks_a_server
