"""What keeps a server from being reached is said before any work: one sentence, with the variable and the cure."""

from __future__ import annotations

import os
import subprocess
import sys
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops.errors import LLMUnavailableError, MergeItError, RecipeError
from mergeit_ops.llm.engine import build_engine, build_logprobs_engine
from mergeit_ops.llm.proxies import proxy_for
from mergeit_ops.llm.settings import LLMSettings

SECRET = "hun-ter2"
ELSEWHERE = "https://llm.example/v1"
HERE = "http://127.0.0.1:8000/v1"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    """No proxy, certificate or header of the person who runs the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith(("OPENAI_", "SSL_CERT", "SSLKEYLOG")):
            monkeypatch.delenv(name)


def refusal(model_params: dict[str, Any] | None = None, **parameters: Any) -> str:
    """Build an engine and check it; return the sentence it is refused with, an empty one when it is not."""
    refused: MergeItError | None = None
    try:
        build_engine(LLMSettings(model_params=model_params, **parameters)).check()
    except MergeItError as error:
        refused = error
    if refused is None:
        return ""
    text = str(refused)
    assert "\n" not in text
    assert text.endswith(".")
    assert SECRET not in text
    # A traceback must not show what the sentence leaves out.
    assert refused.__cause__ is None
    return text


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


PROXIES = {
    "SOCKS without its package": (f"socks5://me:{SECRET}@proxy:1080", "pip install socksio"),
    "SOCKS, names resolved there": ("socks5h://proxy:1080", "pip install socksio"),
    "older SOCKS": (f"socks4://me:{SECRET}@proxy:1080", "must begin with one of"),
    "SOCKS of any kind": ("socks://proxy:1080", "must begin with one of"),
    "another scheme": ("ftp://proxy:21", "must begin with one of"),
    "one slash": ("http:/127.0.0.1:9", "must begin with one of"),
    "one slash, with a password": (f"http:/me:{SECRET}@proxy:9", "must begin with one of"),
    "no scheme, but a colon": ("://proxy:3128", "must begin with one of"),
    "a port of letters": (f"http://me:{SECRET}@proxy:port", "port"),
    "a port that is too high": ("proxy:99999", "port"),
    "port 0": ("http://proxy:0", "port"),
    "no host": ("http://:3128", "no host name"),
    "nothing": ("http://", "no host name"),
    "a space": ("http://my proxy:3128", "blanks"),
    "half a bracket": ("http://[::1", "IPv6"),
    "a hash in the password": (f"http://me:{SECRET}#x@proxy:3128", "percent-encoded"),
    "a hash in the password, last": (f"http://me:x#{SECRET}@proxy:3128", "percent-encoded"),
    "a slash in the password": (f"http://me:{SECRET}/x@proxy:3128", "percent-encoded"),
    "no IP address": ("http://300.0.0.1:3128", "host name"),
}


@pytest.mark.parametrize("variable", ["HTTPS_PROXY", "all_proxy", "Https_Proxy"])
@pytest.mark.parametrize(("url", "word"), PROXIES.values(), ids=PROXIES)
def test_a_proxy_that_cannot_be_used_is_named_with_its_variable(variable, url, word, monkeypatch):
    monkeypatch.setenv(variable, url)
    found = refusal({"base_url": ELSEWHERE})
    assert variable in found
    assert word in found
    assert "NO_PROXY" in found
    assert refusal({"base_url": HERE}) == ""
    monkeypatch.setenv("NO_PROXY", "other.example,llm.example")
    assert refusal({"base_url": ELSEWHERE}) == ""


def test_only_the_proxy_that_is_used_matters(monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "socks5://127.0.0.1:7890")
    monkeypatch.setenv("HTTP_PROXY", "socks5://127.0.0.1:7890")
    monkeypatch.setenv("HTTPS_PROXY", f"http://me:{SECRET}@127.0.0.1:7890")
    assert refusal({"base_url": ELSEWHERE}) == ""
    assert "HTTP_PROXY" in refusal({"base_url": "http://llm.example/v1"})
    assert refusal({"base_url": "http://llm.example/v1"}, api_endpoint="https://llm.example/v1/chat") == ""
    proxy = proxy_for(ELSEWHERE)
    assert SECRET not in repr(proxy) + str(proxy)
    assert str(proxy) == "the proxy http://127.0.0.1:7890 (HTTPS_PROXY)"


def certificates(tmp_path: Path) -> dict[str, tuple[str, str, str]]:
    """Return variable, value and a word of the sentence for each way to get certificates wrong."""
    (tmp_path / "text.pem").write_text("no certificate")
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    (tmp_path / "binary.pem").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    return {
        "missing": ("SSL_CERT_FILE", str(tmp_path / "none.pem"), "does not exist"),
        "below a file": ("SSL_CERT_FILE", str(tmp_path / "text.pem" / "x"), "does not exist"),
        "a tilde": ("SSL_CERT_FILE", "~/ca.pem", "does not exist"),
        "a folder": ("SSL_CERT_FILE", str(tmp_path / "folder"), "is a folder"),
        "text": ("SSL_CERT_FILE", str(tmp_path / "text.pem"), "no certificate"),
        "empty": ("SSL_CERT_FILE", str(tmp_path / "empty.pem"), "no certificate"),
        "cut off": ("SSL_CERT_FILE", str(tmp_path / "half.pem"), "no certificate"),
        "binary": ("SSL_CERT_FILE", str(tmp_path / "binary.pem"), "no certificate"),
        "a device": ("SSL_CERT_FILE", os.devnull, "not a file of certificates"),
        "too long a name": ("SSL_CERT_FILE", "/" + "a" * 5000, "cannot be read"),
        "missing folder": ("SSL_CERT_DIR", str(tmp_path / "none"), "does not exist"),
        "a file as a folder": ("SSL_CERT_DIR", str(tmp_path / "text.pem"), "is a file"),
        "no hashed names": ("SSL_CERT_DIR", str(tmp_path / "folder"), "openssl rehash"),
        "several folders": ("SSL_CERT_DIR", f"{tmp_path / 'none'}{os.pathsep}{tmp_path / 'more'}", "does not exist"),
    }


def test_certificates_that_cannot_be_used_are_named_with_their_variable(tmp_path, monkeypatch):
    for variable, value, word in certificates(tmp_path).values():
        with monkeypatch.context() as patched:
            patched.setenv(variable, value)
            for url in (ELSEWHERE, "http://llm.example/v1", "https://127.0.0.1:8000/v1"):
                found = refusal({"base_url": url})
                assert found.startswith(f"{variable} names "), (value, url)
                assert word in found
            # Nothing is encrypted on the way to this machine.
            assert refusal({"base_url": HERE}) == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_certificates_that_may_not_be_read(tmp_path, monkeypatch):
    closed = tmp_path / "ca.pem"
    closed.write_text("x")
    closed.chmod(0)
    monkeypatch.setenv("SSL_CERT_FILE", str(closed))
    assert "cannot be read" in refusal({"base_url": ELSEWHERE})


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


@pytest.mark.parametrize(
    "host",
    ["localhost", "LOCALHOST", "localhost.", "api.localhost", "127.0.0.1", "127.8.9.10", "0.0.0.0", "[::1]",
     "[::]", "[::ffff:127.0.0.1]"],
)  # fmt: skip
def test_this_machine_is_never_asked_through_a_proxy(host, monkeypatch):
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY"):
        monkeypatch.setenv(name, "http://proxy:3128")
    for url in (f"http://{host}/v1", f"https://{host}:8000/v1"):
        assert proxy_for(url) is None
    for other in ("128.0.0.1", "localhost.example", "notlocalhost", "[::2]", "10.0.0.1", "llm.example"):
        assert proxy_for(f"http://{other}/v1") is not None


@pytest.mark.parametrize(
    ("entries", "covered", "not_covered"),
    [
        ("*", ["http://a.example", "https://10.0.0.1"], []),
        ("x, *", ["http://a.example"], []),
        ("example.com", ["http://example.com", "https://www.example.com:8000"], ["http://notexample.com"]),
        ("EXAMPLE.com", ["http://example.COM"], []),
        (".example.com", ["http://www.example.com"], ["http://example.com", "http://notexample.com"]),
        ("*.example.com", ["http://www.example.com"], ["http://example.com"]),
        ("a, example.com ,b", ["http://example.com"], ["http://c"]),
        ("example.com:8000", ["http://example.com:8000"], ["http://example.com", "http://example.com:80"]),
        ("example.com:443", ["https://example.com", "https://example.com:443"], ["http://example.com"]),
        ("10.1.2.3", ["http://10.1.2.3:80"], ["http://10.1.2.4", "http://110.1.2.3"]),
        ("10.1.2.3:80", ["http://10.1.2.3"], ["https://10.1.2.3"]),
        ("10.0.0.0/8", ["http://10.1.2.3"], ["http://11.1.2.3", "http://host10.0.0.0"]),
        ("fd00::/8", ["http://[fd00::1]:80"], ["http://[fe00::1]"]),
        ("[fd00::]/8", ["http://[fd00::1]:80"], ["http://[fe00::1]"]),
        ("fd00::1", ["http://[fd00::1]:80"], ["http://[fd00::2]"]),
        ("[fd00::1]", ["http://[fd00::1]:80"], ["http://[fd00::2]"]),
        ("[fd00::1]:80", ["http://[fd00::1]"], ["https://[fd00::1]"]),
        ("http://example.com", ["http://example.com"], ["https://example.com"]),
        ("all://example.com", ["http://example.com", "https://example.com"], []),
        (",, ,", [], ["http://example.com"]),
        ("not a host,:,[,/,://", [], ["http://example.com"]),
    ],
)
@pytest.mark.parametrize("variable", ["NO_PROXY", "no_proxy"])
def test_no_proxy_is_obeyed(variable, entries, covered, not_covered, monkeypatch):
    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv(variable, entries)
    assert [url for url in covered if proxy_for(url) is not None] == []
    assert [url for url in not_covered if proxy_for(url) is None] == []


ENTRIES = ["example.com", ".example.com", "*.example.com", "www.example.com", "10.0.0.0/8", "10.1.2.3", "fd00::/8",
           "[fd00::1]", "example.com:8000", "http://example.com", "com", "*"]  # fmt: skip
HOSTS = ["example.com", "www.example.com", "notexample.com", "10.1.2.3", "11.1.2.3", "[fd00::1]", "com", "host"]


@pytest.mark.parametrize("entry", ENTRIES)
def test_no_proxy_means_what_it_means_to_the_http_library(entry, monkeypatch):
    """The library that the client is made of decides for itself only where nobody has decided for it."""
    import openai

    monkeypatch.setenv("ALL_PROXY", "http://proxy:3128")
    monkeypatch.setenv("NO_PROXY", entry)
    client = openai.DefaultAsyncHttpxClient()
    for host in HOSTS:
        for url in (f"http://{host}/v1", f"https://{host}:8000/v1"):
            direct = client._transport_for_url(type(client.base_url)(url)) is client._transport
            assert (proxy_for(url) is None) == direct, (entry, url)


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
