"""Addresses of servers: what cannot work is refused in one sentence, wherever the address stands."""

from __future__ import annotations

import pytest

from tests.llm.refusals import ELSEWHERE, SECRET, refusal

BROKEN_ADDRESSES = {
    "no scheme": ("localhost:8000/v1", "http://localhost:8000/v1"),
    "no scheme, elsewhere": ("api.openai.com/v1", "https://api.openai.com/v1"),
    "no scheme, two slashes": ("//localhost/v1", "must begin with http://"),
    "a word": ("server", "must begin with http://"),
    "one slash": ("http:/localhost/v1", "http://localhost/v1"),
    "no slash": ("http:localhost/v1", "must begin with http://"),
    "another scheme": ("ftp://host/v1", "must begin with http://"),
    "web socket": ("wss://host/v1", "must begin with http://"),
    "slip of the pen": ("htps://host/v1", "must begin with http://"),
    "in quotes": ("'http://host/v1'", "must begin with http://"),
    "in other quotes": ("“http://host/v1”", "must begin with http://"),
    "a space in the host": ("http://my host/v1", "blanks"),
    "a space in the path": ("http://host/v 1", "blanks"),
    "a tab": ("http://host/\tv1", "blanks"),
    "a line break": ("http://ho\nst/v1", "blanks"),
    "a blank of another kind": ("http://host/v1\u00a0x", "blanks"),
    "a blank without width": ("http://ho\u200bst/v1", "blanks"),
    "no host": ("http:///v1", "no host name"),
    "only a scheme": ("https://", "no host name"),
    "only a port": ("http://:8000/v1", "no host name"),
    "a placeholder": ("http://<host>/v1", "'<'"),
    "a placeholder in the path": ("http://host/{deployment}/v1", "'{'"),
    "a variable": ("https://$RESOURCE.example/v1", "not a host name"),
    "an empty label": ("http://a..b/v1", "not a host name"),
    "a long label": (f"http://{'a' * 64}/v1", "not a host name"),
    "no IP address": ("http://999.0.0.1/v1", "not an IP address"),
    "a short IP address": ("http://127.1/v1", "not an IP address"),
    "a port alone": ("http://8000/v1", "not an IP address"),
    "half a bracket": ("http://[::1/v1", "IPv6"),
    "no address in brackets": ("http://[host]/v1", "IPv6"),
    "a port of letters": ("http://host:port/v1", "port"),
    "a port of both": ("http://host:80a/v1", "port"),
    "port 0": ("http://host:0/v1", "port"),
    "a port that is too high": ("http://host:65536/v1", "port"),
    "a port below 0": ("http://host:-1/v1", "port"),
    "backslashes": ("http:\\\\host\\v1", "backslashes"),
    "a query": ("https://host/openai?api-version=2024-06-01", "default_query"),
    "an empty query": ("https://host/v1?", "default_query"),
    "a fragment": ("https://host/v1#chat", "fragment"),
    "the endpoint": ("https://host/v1/chat/completions", "write https://host/v1"),
    "the endpoint, with a slash": ("https://host/v1/chat/completions/", "write https://host/v1"),
    "the endpoint, in capitals": ("https://host/v1/Chat/Completions", "write https://host/v1"),
    "another endpoint": ("https://host/v1/completions", "write https://host/v1"),
    "the newest endpoint": ("https://host/v1/responses", "write https://host/v1"),
    "half of the endpoint": ("https://host/v1/chat", "/chat from one"),
    "too long": ("https://host/" + "a" * 70_000, "at most"),
}


CREDENTIALS = [
    f"http://{SECRET}@host/v1",
    f"http://me:{SECRET}@host/v1",
    f"http://me:{SECRET}/x@host/v1",
    f"http://me:{SECRET}#x@host/v1",
    f"http://me:{SECRET}?x@host/v1",
    f"http://me:x#{SECRET}@host/v1",
    f"http://me:x?{SECRET}@host/v1",
    f"http://me:x/{SECRET}@host:80/v1",
    f"http://me:{SECRET} x@host/v1",
    f"ftp://me:{SECRET}@host/v1",
    f"me:{SECRET}@host/v1",
]


@pytest.mark.parametrize(("url", "word"), BROKEN_ADDRESSES.values(), ids=BROKEN_ADDRESSES)
def test_an_address_that_cannot_work_is_refused_wherever_it_stands(url, word, monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "k")
    in_recipe = refusal({"base_url": url})
    assert in_recipe.startswith("base_url in model_params ")
    assert word in in_recipe
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    in_environment = refusal()
    assert in_environment.startswith("OPENAI_BASE_URL ")
    assert word in in_environment
    assert len(in_environment) < 400


@pytest.mark.parametrize("url", CREDENTIALS)
def test_a_password_in_an_address_is_refused_and_not_repeated(url, monkeypatch):
    assert "model_params" in refusal({"base_url": url})
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert refusal().startswith("OPENAI_BASE_URL ")
    monkeypatch.delenv("OPENAI_BASE_URL")
    monkeypatch.setenv("HTTPS_PROXY", url)
    refusal({"base_url": ELSEWHERE})


@pytest.mark.parametrize(
    "url",
    [
        "http://localhost:8000/v1",
        "HTTP://HOST/v1/",
        "https://host",
        "http://host:/v1",
        "http://[::1]:80/v1",
        "http://[fe80::1%25eth0]/v1",
        "http://my_host.:80/v1",
        "https://münchen.example/v1",
        "https://xn--mnchen-3ya.example/v1",
        "https://host/@cf/v1",
        "https://host/models",
        "https://host/openai/deployments/completions-small",
        "  https://host/v1\n",
        "http://10.0.0.1/v1",
    ],
)
def test_an_address_that_can_work_is_taken(url, monkeypatch):
    assert refusal({"base_url": url}) == ""
    monkeypatch.setenv("OPENAI_BASE_URL", url)
    assert refusal() == ""


@pytest.mark.parametrize(
    ("endpoint", "word"),
    [
        ("/v1/chat/completions", "/v1/v1/chat/completions"),
        ("v1/chat/completions", "/v1/v1/chat/completions"),
        ("/chat completions", "blanks"),
        ("/chat/completions#x", "'#'"),
        (f"/chat/completions?key={SECRET}", "(key)"),
        (f"chat/completions?{SECRET}", "default_query"),
        ("/chat/completions?", "default_query"),
        ("//host/v1/chat/completions", "slash"),
        ("ftp://host/v1/chat", "http://"),
        ("http://host:port/v1/chat", "port"),
        ("http:///v1/chat", "no host name"),
        (f"http://me:{SECRET}@host/v1/chat", "secret"),
    ],
)
def test_an_endpoint_that_cannot_work_is_refused(endpoint, word):
    found = refusal({"base_url": ELSEWHERE}, api_endpoint=endpoint)
    assert "api_endpoint" in found
    assert word in found


@pytest.mark.parametrize("endpoint", ["/generate", "chat", "https://other.example/v1/x?a=b"])
def test_an_endpoint_that_can_work_is_taken(endpoint):
    assert refusal({"base_url": ELSEWHERE}, api_endpoint=endpoint) == ""
