"""What keeps a server from being reached is said before any work: one sentence, with the variable and the cure."""

from __future__ import annotations

import subprocess
import sys

import pytest

from mergeit_ops.errors import LLMUnavailableError
from tests.llm.refusals import ELSEWHERE, HERE, SECRET, refusal


@pytest.mark.parametrize(
    "key", ["sk-a b", "Bearer x", "schlüssel", "a\nb", "a\tb", '"sk-x"', "'x'", "\u200bx", "x\x7f"]
)
def test_a_key_that_cannot_be_one_is_refused_and_not_repeated(key, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", key)
    for params in ({}, {"base_url": HERE}, {"base_url": ELSEWHERE}):
        found = refusal(params)
        assert found.startswith("OPENAI_API_KEY ")
        assert key not in found.replace("'Bearer'", "")


@pytest.mark.parametrize("variable", ["OPENAI_ORG_ID", "OPENAI_PROJECT_ID", "OPENAI_CUSTOM_HEADERS"])
@pytest.mark.parametrize("value", [f"X: {SECRET}ü", f"X: {SECRET}\x07"])
def test_variables_that_become_headers_are_checked(variable, value, monkeypatch):
    monkeypatch.setenv(variable, value)
    assert refusal({"base_url": HERE}).startswith(f"{variable} ")


@pytest.mark.parametrize(
    ("environment", "params", "words"),
    [
        ({}, {}, ["OPENAI_API_KEY", "OPENAI_BASE_URL"]),
        ({"OPENAI_API_KEY": "  "}, {}, ["OPENAI_API_KEY", "OPENAI_BASE_URL"]),
        ({"OPENAI_BASE_URL": " "}, {}, ["OPENAI_API_KEY", "OPENAI_BASE_URL"]),
        ({"OPENAI_BASE_URL": "https://api.openai.com/v1"}, {}, ["OPENAI_API_KEY", "https://api.openai.com/v1"]),
        ({}, {"base_url": "https://eu.api.openai.com/v1"}, ["OPENAI_API_KEY", "https://eu.api.openai.com/v1"]),
        ({}, {"base_url": HERE}, []),
        ({}, {"base_url": "http://gpu-box.lan:8000/v1"}, []),
        ({"OPENAI_BASE_URL": "https://vllm.example/v1"}, {}, []),
        ({"OPENAI_API_KEY": "k"}, {}, []),
    ],
)
def test_a_missing_key_is_said_where_one_is_needed(environment, params, words, monkeypatch):
    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    found = refusal(params)
    assert bool(found) == bool(words)
    assert all(word in found for word in words), found


OPERATORS = {
    "merger": "LLMPairMergerMapper()",
    "judge": "QualityGateFilter(scorer='llm_judge')",
    "Deita behind a server": "QualityGateFilter(scorer='deita_api')",
    "cascade": "QualityGateFilter(scorer='cascade')",
    "judge in a cascade": "QualityGateFilter(scorer='cascade', scorer_params={'judge': {'scorer': 'llm_judge'}})",
}
BROKEN = {
    "no key": ({}, "OPENAI_API_KEY"),
    "address": ({"OPENAI_API_KEY": "k", "OPENAI_BASE_URL": "localhost:8000"}, "OPENAI_BASE_URL"),
    "proxy": ({"OPENAI_API_KEY": "k", "HTTPS_PROXY": "socks5://proxy:1080"}, "HTTPS_PROXY"),
    "certificate": ({"OPENAI_API_KEY": "k", "SSL_CERT_FILE": "/none.pem"}, "SSL_CERT_FILE"),
}


@pytest.mark.parametrize(("environment", "word"), BROKEN.values(), ids=BROKEN)
@pytest.mark.parametrize("operator", OPERATORS.values(), ids=OPERATORS)
def test_every_operator_that_asks_a_server_says_it_when_it_is_built(operator, environment, word, monkeypatch):
    from mergeit_ops import ops

    for name, value in environment.items():
        monkeypatch.setenv(name, value)
    with pytest.raises(LLMUnavailableError) as caught:
        eval(operator, vars(ops))
    assert str(caught.value).startswith(("llm_pair_merger_mapper: ", "quality_gate_filter: "))
    assert word in str(caught.value)


def test_an_operator_that_asks_nobody_needs_no_way():
    from mergeit_ops.ops import LLMPairMergerMapper, QualityGateFilter

    LLMPairMergerMapper(dry_run=True)
    LLMPairMergerMapper(merge_strategy="concat")
    LLMPairMergerMapper(is_hf_model=True)
    QualityGateFilter(scorer="distilled")


def test_the_command_that_compares_says_it_before_it_reads(tmp_path):
    command = [sys.executable, "-m", "mergeit_ops", "compare", "none.jsonl", "--scorer", "llm_judge"]
    done = subprocess.run(command, cwd=tmp_path, capture_output=True, text=True, check=False)
    assert done.returncode != 0
    assert "OPENAI_API_KEY" in done.stderr
    assert "none.jsonl" not in done.stderr
