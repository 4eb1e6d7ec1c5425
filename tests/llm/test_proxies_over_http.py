"""Through a proxy or past it: what a server in each place is asked, and who is named when nobody answers."""

from __future__ import annotations

import asyncio
import json
import os
import shutil
import socket
import ssl
import subprocess
from pathlib import Path

import pytest

from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.connection import open_connection
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from tests.llm.conftest import answers_of, engine_for, merge_requests
from tests.llm.raw_server import RawServer, response

GOOD = response(json.dumps({"choices": [{"message": {"content": "fine"}}]}).encode())
SECRET = "hun-ter2"


@pytest.fixture(autouse=True)
def bare_environment(monkeypatch):
    """No proxy and no certificate of the person who runs the tests."""
    for name in list(os.environ):
        if name.lower().endswith("_proxy") or name.startswith("SSL_CERT") or name.endswith("_CA_BUNDLE"):
            monkeypatch.delenv(name)


def post(url: str) -> object:
    async def scenario() -> object:
        connection = open_connection({"base_url": url}, 10.0)
        try:
            return await connection.post("/chat/completions", {"model": "m"})
        finally:
            await connection.aclose()

    return asyncio.run(scenario())


def failure(url: str) -> CallFailedError:
    with pytest.raises(CallFailedError) as caught:
        post(url)
    assert SECRET not in caught.value.detail
    return caught.value


def proxy_url(proxy: RawServer) -> str:
    return f"http://me:{SECRET}@127.0.0.1:{proxy.port}"


@pytest.mark.parametrize("variable", ["HTTP_PROXY", "http_proxy", "ALL_PROXY", "all_proxy"])
def test_a_server_elsewhere_is_asked_through_the_proxy(variable, monkeypatch):
    with RawServer(GOOD) as proxy:
        monkeypatch.setenv(variable, proxy_url(proxy))
        post("http://llm.invalid/v1")
        (request,) = proxy.requests
    assert request.startswith("POST http://llm.invalid/v1/chat/completions HTTP/1.1")
    assert "proxy-authorization: basic" in request.lower()


@pytest.mark.parametrize("host", ["127.0.0.1", "localhost", "127.0.0.2", "0.0.0.0", "[::ffff:127.0.0.1]"])
@pytest.mark.parametrize("variable", ["HTTP_PROXY", "ALL_PROXY"])
def test_this_machine_is_asked_directly(host, variable, monkeypatch):
    with RawServer(GOOD) as proxy, RawServer(GOOD) as server:
        monkeypatch.setenv(variable, proxy_url(proxy))
        if host == "127.0.0.2" or host.startswith("["):
            # Nobody listens there; what counts is who is not asked.
            with pytest.raises(CallFailedError) as caught:
                post(f"http://{host}:1/v1")
            assert "proxy" not in caught.value.detail
        else:
            post(f"http://{host}:{server.port}/v1")
            assert len(server.requests) == 1
        assert proxy.requests == []


def test_this_machine_is_asked_directly_on_its_newer_address(monkeypatch):
    with socket.socket(socket.AF_INET6) as probe:
        try:
            probe.bind(("::1", 0))
        except OSError:
            pytest.skip("this machine has no IPv6")
        with RawServer(GOOD) as proxy:
            monkeypatch.setenv("ALL_PROXY", proxy_url(proxy))
            assert failure(f"http://[::1]:{probe.getsockname()[1]}/v1").kind is FailureKind.UNREACHABLE
            assert proxy.requests == []


@pytest.mark.parametrize(
    "entries", ["*", "llm.invalid", ".invalid", "*.invalid", "a,llm.invalid:80", "http://llm.invalid", "LLM.INVALID"]
)
def test_no_proxy_is_obeyed(entries, monkeypatch):
    with RawServer(GOOD) as proxy:
        monkeypatch.setenv("ALL_PROXY", proxy_url(proxy))
        monkeypatch.setenv("NO_PROXY", entries)
        found = failure("http://llm.invalid/v1")
        assert proxy.requests == []
    assert found.kind is FailureKind.UNREACHABLE
    assert "proxy" not in found.detail


@pytest.mark.parametrize("status", ["502 Bad Gateway", "503 Service Unavailable", "504 Gateway Timeout", "407 Who"])
@pytest.mark.parametrize("url", ["http://llm.invalid/v1", "https://llm.invalid/v1"])
def test_a_proxy_that_gets_no_further_is_named(url, status, monkeypatch):
    with RawServer(response(b"<html><title>Squid</title>", status, Content_Type="text/html")) as proxy:
        variable = "HTTPS_PROXY" if url.startswith("https") else "HTTP_PROXY"
        monkeypatch.setenv(variable, proxy_url(proxy))
        found = failure(url)
        assert proxy.requests[0].startswith("CONNECT" if url.startswith("https") else "POST")
    assert f"the proxy http://127.0.0.1:{proxy.port} ({variable})" in found.detail
    assert status[:3] in found.detail
    assert "NO_PROXY" in found.detail


@pytest.mark.parametrize("url", ["http://llm.invalid/v1", "https://llm.invalid/v1"])
def test_a_proxy_where_nobody_listens_is_named_by_the_run_that_stops(url, monkeypatch):
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))
        port = taken.getsockname()[1]
        monkeypatch.setenv("ALL_PROXY", f"http://me:{SECRET}@127.0.0.1:{port}")
        with pytest.raises(LLMUnavailableError, match="Nobody answers") as caught:
            answers_of(engine_for(url), merge_requests(3))
    assert f"the proxy http://127.0.0.1:{port} (ALL_PROXY)" in str(caught.value)
    assert SECRET not in str(caught.value)


@pytest.mark.parametrize("url", ["http://llm.invalid/v1", "https://llm.invalid/v1"])
def test_a_proxy_that_asks_who_is_there_is_given_a_name_and_a_password(url, monkeypatch):
    with RawServer(response(b"", "407 Proxy Authentication Required")) as proxy:
        monkeypatch.setenv("ALL_PROXY", f"http://127.0.0.1:{proxy.port}")
        found = failure(url)
    assert "asks for a user name and a password, so write ALL_PROXY as http://name:password@host" in found.detail
    assert "407" in found.detail


def test_a_proxy_that_nobody_has_named_is_to_be_named():
    with RawServer(response(b"", "407 Proxy Authentication Required")) as server:
        found = failure(server.base_url)
    assert "a proxy asks for a user name and a password, so write HTTP_PROXY or HTTPS_PROXY as" in found.detail


def test_what_is_forbidden_on_a_plain_way_may_be_so_by_the_proxy(monkeypatch):
    with RawServer(response(b"denied", "403 Forbidden", Content_Type="text/plain")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy_url(proxy))
        found = failure("http://llm.invalid/v1")
    assert found.kind is FailureKind.FORBIDDEN
    assert f"HTTP 403: denied, through the proxy http://127.0.0.1:{proxy.port} (HTTP_PROXY)" in found.detail


def test_an_error_of_the_server_is_not_blamed_on_the_proxy(monkeypatch):
    with RawServer(response(b'{"error": {"message": "no such key"}}', "401 Unauthorized")) as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy_url(proxy))
        assert failure("http://llm.invalid/v1").detail == "HTTP 401: no such key"


@pytest.fixture(scope="module")
def certificate(tmp_path_factory) -> Path:
    """A certificate for 127.0.0.1 that nobody has signed but itself, and its key, in one file."""
    openssl = shutil.which("openssl")
    if openssl is None:
        pytest.skip("the command openssl makes the certificate, and is not installed")
    folder = tmp_path_factory.mktemp("tls")
    key, cert, both = folder / "key.pem", folder / "cert.pem", folder / "both.pem"
    command = [openssl, "req", "-x509", "-newkey", "rsa:2048", "-nodes", "-days", "2", "-subj", "/CN=127.0.0.1"]
    command += ["-addext", "subjectAltName=IP:127.0.0.1", "-keyout", str(key), "-out", str(cert)]
    subprocess.run(command, check=True, capture_output=True)
    both.write_bytes(cert.read_bytes() + key.read_bytes())
    return both


def tls_of(certificate: Path) -> ssl.SSLContext:
    context = ssl.SSLContext(ssl.PROTOCOL_TLS_SERVER)
    context.load_cert_chain(certificate)
    return context


def test_a_certificate_of_ones_own_is_trusted_when_the_variable_names_it(certificate, monkeypatch):
    with RawServer(GOOD, tls_of(certificate)) as server:
        monkeypatch.setenv("REQUESTS_CA_BUNDLE", str(certificate))
        found = failure(server.base_url)
        assert found.kind is FailureKind.UNREACHABLE
        assert "certificate is not trusted" in found.detail
        assert "SSL_CERT_FILE" in found.detail
        assert "REQUESTS_CA_BUNDLE is not read" in found.detail
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        post(server.base_url)


def test_the_way_to_the_proxy_may_be_encrypted_too(certificate, monkeypatch):
    with RawServer(GOOD, tls_of(certificate)) as proxy:
        monkeypatch.setenv("HTTP_PROXY", f"https://127.0.0.1:{proxy.port}")
        assert "certificate is not trusted" in failure("http://llm.invalid/v1").detail
        monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
        post("http://llm.invalid/v1")
        assert proxy.requests[-1].startswith("POST http://llm.invalid/v1/chat/completions")


def test_a_certificate_for_another_host_is_not_trusted(certificate, monkeypatch):
    monkeypatch.setenv("SSL_CERT_FILE", str(certificate))
    with RawServer(GOOD, tls_of(certificate)) as server:
        assert "certificate is not trusted" in failure(f"https://localhost:{server.port}/v1").detail


def test_a_server_that_does_not_encrypt_is_told_apart():
    with RawServer(GOOD) as server:
        assert "http://" in failure(f"https://127.0.0.1:{server.port}/v1").detail
