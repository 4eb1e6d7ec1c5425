"""The proxy for a request: which variable names it, who needs none, and which cannot be used."""

from __future__ import annotations

import pytest

from mergeit_ops.llm.proxies import proxy_for
from tests.llm.refusals import ELSEWHERE, HERE, SECRET, refusal

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
