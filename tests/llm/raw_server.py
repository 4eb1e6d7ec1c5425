"""A server that sends exactly the bytes it is told to, and counts what comes and goes."""

from __future__ import annotations

import re
import socket
import ssl
import threading
from collections.abc import Iterable

__all__ = ["RawServer", "response"]

_HELLO = b"\x16\x03"
"""How an encrypted connection begins, which a plain server takes for a request that is none."""


def response(body: bytes = b"{}", status: str = "200 OK", **headers: str) -> bytes:
    """Return a whole response; names of headers are written with `_` for `-`."""
    fields = {"Content_Type": "application/json", "Content_Length": str(len(body)), "Connection": "close", **headers}
    lines = [f"HTTP/1.1 {status}", *(f"{name.replace('_', '-')}: {value}" for name, value in fields.items() if value)]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + body


class RawServer:
    """Answers every request on 127.0.0.1 with the same bytes, one connection each.

    :param reply: the bytes, or pieces of them that may have no end.
    :param tls: context for encrypted connections; None for plain ones.
    """

    def __init__(self, reply: bytes | Iterable[bytes], tls: ssl.SSLContext | None = None) -> None:
        self.reply = reply
        self.tls = tls
        self.requests: list[str] = []
        self.sent = 0
        self._listener = socket.create_server(("127.0.0.1", 0))
        self.port = int(self._listener.getsockname()[1])
        self._over = threading.Event()
        self._thread = threading.Thread(target=self._serve, daemon=True)

    @property
    def base_url(self) -> str:
        return f"{'http' if self.tls is None else 'https'}://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> RawServer:
        self._thread.start()
        return self

    def __exit__(self, *_: object) -> None:
        self._over.set()
        socket.create_connection(("127.0.0.1", self.port)).close()
        self._thread.join()
        self._listener.close()

    def _serve(self) -> None:
        while True:
            connection, _ = self._listener.accept()
            with connection:
                if self._over.is_set():
                    return
                try:
                    self._answer(connection)
                except OSError:
                    # Whoever asked has had enough.
                    continue

    def _answer(self, connection: socket.socket) -> None:
        if self.tls is not None:
            connection = self.tls.wrap_socket(connection, server_side=True)
        head = b""
        while b"\r\n\r\n" not in head and not head.startswith(_HELLO):
            piece = connection.recv(65536)
            if not piece:
                return
            head += piece
        head, _, body = head.partition(b"\r\n\r\n")
        length = re.search(rb"(?i)^content-length: *(\d+)", head, re.MULTILINE)
        # To hang up on what has not been read would reset the connection.
        while length is not None and len(body) < int(length[1]):
            body += connection.recv(65536)
        self.requests.append(head.decode("latin-1"))
        for piece in [self.reply] if isinstance(self.reply, bytes) else self.reply:
            connection.sendall(piece)
            self.sent += len(piece)
        if self.tls is not None:
            connection.unwrap()
