"""What a call that went wrong on the wire is called, whichever HTTP library the openai package speaks through."""

from __future__ import annotations

import asyncio
import socket
import threading
from collections.abc import Iterator
from contextlib import contextmanager

import pytest

from mergeit_ops.llm.connection import open_connection
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from tests.llm_server import FakeLLMServer

HEAD = b"HTTP/1.1 200 OK\r\nContent-Type: application/json\r\nContent-Length: "


@contextmanager
def raw_server(reply: bytes) -> Iterator[int]:
    """Send these bytes after whatever comes, and hang up."""
    over = threading.Event()
    with socket.create_server(("127.0.0.1", 0)) as listener:

        def serve() -> None:
            while True:
                connection, _ = listener.accept()
                with connection:
                    if over.is_set():
                        return
                    connection.recv(65536)
                    connection.sendall(reply)

        thread = threading.Thread(target=serve, daemon=True)
        thread.start()
        port = listener.getsockname()[1]
        try:
            yield port
        finally:
            over.set()
            socket.create_connection(("127.0.0.1", port)).close()
            thread.join()


@pytest.fixture(params=["fast client", "default client"], autouse=True)
def http_client(request, monkeypatch):
    """Both HTTP clients of the openai package; a proxy that this host does without turns to the default one."""
    for name in ("HTTP_PROXY", "HTTPS_PROXY", "ALL_PROXY", "NO_PROXY"):
        monkeypatch.delenv(name, raising=False)
        monkeypatch.delenv(name.lower(), raising=False)
    if request.param == "default client":
        monkeypatch.setenv("HTTP_PROXY", "http://127.0.0.1:1")
        monkeypatch.setenv("NO_PROXY", "127.0.0.1,nowhere.invalid")


def post(url: str, timeout_s: float = 10.0) -> object:
    async def scenario() -> object:
        connection = open_connection({"base_url": url}, timeout_s)
        try:
            return await connection.post("/chat/completions", {"model": "m"})
        finally:
            await connection.aclose()

    return asyncio.run(scenario())


@pytest.mark.parametrize(
    "reply",
    [b"", b"SSH-2.0-OpenSSH_9.6\r\n\r\n", HEAD + b"500\r\n\r\n{", HEAD + b"x\r\n\r\n{}", b"HTTP/1.1 200 OK\r\n"],
    ids=["hangs up", "another protocol", "half a body", "no length", "half a head"],
)
def test_a_connection_that_breaks_is_worth_another_attempt(reply):
    with raw_server(reply) as port, pytest.raises(CallFailedError) as caught:
        post(f"http://127.0.0.1:{port}/v1")
    assert caught.value.kind is FailureKind.TRANSIENT


def test_a_place_where_nobody_is_found_is_told_apart():
    with socket.socket() as free:
        free.bind(("127.0.0.1", 0))
        places = [f"http://127.0.0.1:{free.getsockname()[1]}/v1", "http://nowhere.invalid/v1"]
        for place in places:
            with pytest.raises(CallFailedError) as caught:
                post(place)
            assert caught.value.kind is FailureKind.UNREACHABLE, place


def test_a_server_that_is_silent_for_too_long_is_worth_another_attempt():
    with FakeLLMServer(latency_s=30) as server, pytest.raises(CallFailedError) as caught:
        post(server.base_url, timeout_s=0.2)
    assert caught.value.kind is FailureKind.TRANSIENT


def test_connections_are_used_again():
    with FakeLLMServer() as server:
        accepted = set()
        talk = server._talk

        async def counted(reader, writer):
            accepted.add(writer)
            await talk(reader, writer)

        server._talk = counted

        async def scenario() -> None:
            connection = open_connection({"base_url": server.base_url}, 10)
            for _ in range(5):
                await asyncio.gather(*(connection.post("/chat/completions", {"model": "m"}) for _ in range(3)))
            await connection.aclose()

        asyncio.run(scenario())
        assert len(server.requests) == 15
        assert len(accepted) == 3


def test_a_proxy_is_used(monkeypatch):
    with FakeLLMServer() as proxy:
        monkeypatch.setenv("HTTP_PROXY", proxy.base_url.removesuffix("/v1"))
        monkeypatch.setenv("NO_PROXY", "")
        post("http://elsewhere.invalid/v1")
        assert proxy.paths == ["http://elsewhere.invalid/v1/chat/completions"]
