"""Credentials are found wherever a recipe may hold them, and their values are never shown."""

from __future__ import annotations

import pytest

from mergeit_ops.core.secrets import loggable, secret_in, shown_url

KEY = "sk-" + "a1B2" * 6


@pytest.mark.parametrize(
    ("parameters", "path"),
    [
        ({"api_key": "x"}, "api_key"),
        ({"API_KEY": "x"}, "API_KEY"),
        ({"apikey": "x"}, "apikey"),
        ({"apiKey": "x"}, "apiKey"),
        ({"openai_api_key": "x"}, "openai_api_key"),
        ({"default_headers": {"X-Api-Key": "x"}}, "default_headers.X-Api-Key"),
        ({"default_headers": {"ocp-apim-api-key": "x"}}, "default_headers.ocp-apim-api-key"),
        ({"default_headers": {"X-Auth-Token": "x"}}, "default_headers.X-Auth-Token"),
        ({"default_headers": {"Authorization": "x"}}, "default_headers.Authorization"),
        ({"default_headers": {"Proxy-Authorization": "x"}}, "default_headers.Proxy-Authorization"),
        ({"default_headers": {"Helicone-Auth": "Bearer abc"}}, "default_headers.Helicone-Auth"),
        ({"extra_body": {"nested": [{"token": "x"}]}}, "extra_body.nested.0.token"),
        ({"access_token": "x"}, "access_token"),
        ({"auth_token": "x"}, "auth_token"),
        ({"secret": "x"}, "secret"),
        ({"client_secret": "x"}, "client_secret"),
        ({"password": 1234}, "password"),
        ({"access_key": "x"}, "access_key"),
        ({"private_key": ["x"]}, "private_key"),
        ({"a": ["b", KEY]}, "a.1"),
        ({"user": f" {KEY}\n"}, "user"),
        ({"base_url": "http://me:pw@host/v1"}, "base_url"),
        ({"base_url": "https://me@host/v1"}, "base_url"),
        ({"base_url": "https://me:p/w@host/v1"}, "base_url"),
        ({"base_url": "https://me:p#w@host/v1"}, "base_url"),
        ({"base_url": "https://me:p?w@host/v1"}, "base_url"),
        ({"base_url": "https://host/v1?api_key=x"}, "base_url"),
        ({"base_url": "https://host/v1?v=1&key=x"}, "base_url"),
        (["http://host/chat?access_token=x"], "0"),
        ("https://host/v1?api-key=x", ""),
    ],
)
def test_credentials_are_found(parameters, path):
    assert secret_in(parameters) == path


@pytest.mark.parametrize(
    "parameters",
    [
        {},
        None,
        {"max_tokens": 5, "max_total_tokens": 9, "max_completion_tokens": 7, "min_tokens": 1, "stop_token_ids": [1]},
        {"pad_token_id": 0, "eos_token": "</s>", "bos_token": "<s>", "token_type": "x", "tokenizer": "x"},
        {"instruction_key": "instruction", "response_key": "output", "query_key": "input", "text_keys": ["a"]},
        {"logit_bias": {"50256": -100, "token": None}},
        {"base_url": "http://[::1]:80/@cf/v1", "text": "See http://host:8000/a@b and http://host/a@b."},
        {"base_url": "http://127.0.0.1:8000/v1", "default_query": {"api-version": "2024-06-01"}},
        {"api_endpoint": "https://host/v1/chat/completions?api-version=2024-06-01"},
        {"trust_remote_code": True, "use_auth_token": True, "token": False, "password": "", "api_key": None},
        {"model": "sk-small", "system_prompt": "Write to a@b.example about the Bearer of this letter."},
        {"skip_special_tokens": True, "return_token_ids": True, "secretary": "x", "monkey": "x", "sort_key": "x"},
    ],
)
def test_innocent_entries_are_left_alone(parameters):
    assert secret_in(parameters) is None


def test_nothing_deep_or_circular_is_followed_without_end():
    circle: dict[str, object] = {}
    circle["self"] = circle
    assert secret_in(circle) is None


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("http://127.0.0.1:8000/v1", "http://127.0.0.1:8000/v1"),
        ("http://me:pw@host:1/v1?api_key=pw#pw", "http://host:1/v1"),
        ("https://me:p/w@host/v1", "https://host/v1"),
        ("https://me:p#w@host/v1", "https://..."),
        ("https://me:p?w@host/v1", "https://..."),
        ("https://host/v1?mail=me@host", "https://..."),
        ("me:pw@host", "host"),
        ("http://[::1]:80/v1?x", "http://[::1]:80/v1"),
        ("http://me:pw@[broken/v1", "http://[broken/v1"),
        ("", ""),
    ],
)
def test_an_address_is_shown_without_what_it_may_hide(url, shown):
    assert shown_url(url) == shown


def test_of_a_client_only_its_address_is_logged_whatever_the_depth():
    client = {"base_url": "http://me:pw@host/v1?key=x", "default_headers": {"X-Team": "hunter2"}}
    parameters = {"model_params": client, "scorer_params": {"judge": {"model_params": client, "n": 3}}, "gamma": 1.0}
    shown = {"base_url": "http://host/v1"}
    assert loggable(parameters) == {
        "model_params": shown,
        "scorer_params": {"judge": {"model_params": shown, "n": 3}},
        "gamma": 1.0,
    }
    assert loggable({"model_params": None}) == {"model_params": {}}
