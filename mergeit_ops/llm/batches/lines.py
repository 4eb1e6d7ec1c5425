"""The files of the batch API: one request or one response a line."""

from __future__ import annotations

import json
from collections.abc import Iterable, Iterator, Mapping
from dataclasses import dataclass
from typing import Any

__all__ = ["BatchFile", "BatchResult", "Line", "read_results", "request_line", "split"]

_OK = 200


@dataclass(frozen=True)
class Line:
    """A request in a file.

    :param key: of its answer in the journal.
    :param text: the line as bytes, with its line break.
    """

    key: str
    text: bytes


@dataclass(frozen=True)
class BatchFile:
    """The requests of one batch.

    :param lines: at least one.
    """

    lines: tuple[Line, ...]

    @property
    def content(self) -> bytes:
        """The file."""
        return b"".join(line.text for line in self.lines)


@dataclass(frozen=True)
class BatchResult:
    """What a file of responses says about a request.

    :param status: HTTP status; None if the request was never sent.
    :param body: of the response, or the error.
    """

    status: int | None
    body: Any

    @property
    def is_response(self) -> bool:
        """Whether the body is that of a good response."""
        return self.status is not None and self.status < 300


def request_line(key: str, endpoint: str, body: Mapping[str, Any]) -> Line:
    """Return a request as a line.

    :param key: of its answer in the journal; the response has it too.
    :param endpoint: path below `/v1`.
    :param body: of the request.
    """
    whole = {"custom_id": key, "method": "POST", "url": f"/v1/{endpoint.strip('/')}", "body": body}
    return Line(key, json.dumps(whole, ensure_ascii=False, separators=(",", ":")).encode("utf-8") + b"\n")


def split(lines: Iterable[Line], max_requests: int, max_bytes: int) -> Iterator[BatchFile]:
    """Divide requests into files, in order.

    :param lines: the requests.
    :param max_requests: of a file, at least 1.
    :param max_bytes: of a file. A single request that is longer has a file of its own.
    """
    part: list[Line] = []
    size = 0
    for line in lines:
        if part and (len(part) == max_requests or size + len(line.text) > max_bytes):
            yield BatchFile(tuple(part))
            part, size = [], 0
        part.append(line)
        size += len(line.text)
    if part:
        yield BatchFile(tuple(part))


def read_results(*files: bytes) -> dict[str, BatchResult]:
    """Read files of responses, of one or more batches.

    :param files: output files and error files. Lines that cannot be read are left out.
    :return: key to result; a good response counts more than an error.
    """
    found: dict[str, BatchResult] = {}
    for content in files:
        # Not by `splitlines` of a text: an answer may hold the line separators of Unicode.
        for line in content.split(b"\n"):
            try:
                entry = json.loads(line)
            except (ValueError, RecursionError):
                continue
            key = entry.get("custom_id") if isinstance(entry, Mapping) else None
            if not isinstance(key, str):
                continue
            result = _result(entry)
            if key not in found or result.is_response:
                found[key] = result
    return found


def _result(entry: Mapping[str, Any]) -> BatchResult:
    response, error = entry.get("response"), entry.get("error")
    if not isinstance(response, Mapping):
        return BatchResult(None, {"error": error})
    status = response.get("status_code")
    status = status if isinstance(status, int) and not isinstance(status, bool) else None
    body = response.get("body")
    if error:
        # vLLM writes what went wrong beside a response without a body.
        good = status is None or status < 300
        return BatchResult(
            None if good else status, body or (error if isinstance(error, Mapping) else {"error": error})
        )
    return BatchResult(_OK if status is None else status, body)
