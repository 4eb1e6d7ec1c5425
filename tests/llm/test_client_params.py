"""Parameters that say how to reach a server: checked before anything is opened."""

from __future__ import annotations

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.engine import build_logprobs_engine
from mergeit_ops.llm.settings import LLMSettings
from tests.llm.refusals import ELSEWHERE, SECRET, refusal


@pytest.mark.parametrize(
    ("params", "words"),
    [
        ({"timeout": 3}, ["timeout", "timeout_s"]),
        ({"max_retries": 3}, ["max_retries", "try_num"]),
        ({"http_client": "httpx.AsyncClient()"}, ["http_client", "HTTPS_PROXY", "SSL_CERT_FILE"]),
        ({"proxy": "http://proxy"}, ["proxy", "HTTPS_PROXY"]),
        ({"verify": False}, ["verify", "SSL_CERT_FILE"]),
        ({"azure_endpoint": "https://x"}, ["azure_endpoint", "base_url", "default_query"]),
        ({"api_version": "2024"}, ["api_version", "default_query"]),
        ({"frobnicate": 1}, ["frobnicate", "base_url"]),
        ({"default_headers": ["x"]}, ["default_headers", "mapping"]),
        ({"default_headers": {"X Team": "x"}}, ["default_headers", "X Team"]),
        ({"default_headers": {"X-Tëam": "x"}}, ["default_headers", "X-Tëam"]),
        ({"default_headers": {"": "x"}}, ["default_headers", "''"]),
        ({"default_headers": {"X-Team": 5}}, ["X-Team", "int", "quotes"]),
        ({"default_headers": {"X-Team": None}}, ["X-Team", "null"]),
        ({"default_headers": {"X-Team": True}}, ["X-Team", "bool"]),
        ({"default_headers": {"X-Team": f"{SECRET}\r\nX-Other: y"}}, ["X-Team", "line break"]),
        ({"default_headers": {"X-Team": f"{SECRET}ü"}}, ["X-Team", "ASCII"]),
        ({"default_headers": {"X-Team": f" {SECRET}"}}, ["X-Team", "blank"]),
        ({"default_headers": {"content-length": "3"}}, ["content-length"]),
        ({"default_query": "x=y"}, ["default_query", "mapping"]),
        ({"default_query": {"v": {1, 2}}}, ["default_query", "'v'", "quotes"]),
        ({"default_query": {"v": float("nan")}}, ["default_query", "'v'"]),
        ({"organization": 5}, ["organization", "quotes"]),
        ({"project": "a\nb"}, ["project", "line break"]),
        ({"organization": "ü"}, ["organization", "ASCII"]),
        ({"base_url": 5}, ["base_url", "5"]),
        ({"base_url": ""}, ["base_url", "''"]),
        ({"base_url": ["http://host"]}, ["base_url"]),
    ],
)
def test_parameters_of_the_client_that_cannot_work_are_refused(params, words):
    found = refusal({"base_url": ELSEWHERE, **params})
    assert all(word in found for word in words), found
    with pytest.raises(RecipeError):
        build_logprobs_engine(LLMSettings(model_params={"base_url": ELSEWHERE, **params}))


def test_parameters_of_the_client_that_can_work_are_taken():
    params = {
        "organization": "org",
        "project": "proj",
        "default_headers": {"X-Team": "data", "X-Empty": ""},
        "default_query": {"api-version": "2024-06-01", "n": 1, "deep": [1, "a"]},
    }
    assert refusal({"base_url": ELSEWHERE, **params}) == ""
