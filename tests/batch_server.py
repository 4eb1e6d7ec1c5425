"""A loopback server with files and batches, which can fail in all the ways in which batches fail.

`with FakeBatchServer(fates=[Fate(status="expired", answered=3), Fate()]) as server: ...`
"""

from __future__ import annotations

import json
from collections import Counter
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from typing import Any

from tests.llm_server import Answer, FakeLLMServer, Reply, _completion, error, merge_answer


@dataclass(frozen=True)
class Fate:
    """The outcome of a batch.

    :param status: final status of the batch.
    :param answered: number of first requests that are answered; None: all.
    :param polls: number of polls before the batch ends.
    :param errors: code and message of a batch that fails as a whole.
    :param line_errors: status and body of a response, by the position of its request.
    :param extra: further lines of the output file, as bytes.
    :param reverse: whether the responses are in reverse order.
    :param cut: how often the output file is served with its last response cut off.
    :param lose_created: whether the response to the request that creates the batch is lost.
    """

    status: str = "completed"
    answered: int | None = None
    polls: int = 1
    errors: Sequence[tuple[str, str]] = ()
    line_errors: Mapping[int, tuple[int, Any]] = field(default_factory=dict)
    extra: Sequence[bytes] = ()
    reverse: bool = True
    cut: int = 0
    lose_created: bool = False


@dataclass
class _Batch:
    id: str
    number: int
    fate: Fate
    request: dict[str, Any]
    polls: int = 0
    cuts: int = 0
    answered: int = 0
    ended: bool = False
    output: str | None = None
    errors: str | None = None


class FakeBatchServer(FakeLLMServer):
    """Serves `/files` and `/batches` in addition to the calls of `FakeLLMServer`.

    :param answer: makes the reply to the body of a request, online or in a batch.
    :param fates: outcomes of the batches, in the order of their creation; later batches are completed.
    :param has_batches: whether the server has a batch API.
    :param fail: takes method and path before a call is served, and returns an error reply; None: the call is served.
    :param options: options of `FakeLLMServer`.

    `paid` counts the responses that cost money by `custom_id`; `submitted` has the requests of each batch.
    """

    def __init__(
        self,
        answer: Answer = merge_answer,
        *,
        fates: Sequence[Fate] = (),
        has_batches: bool = True,
        fail: Callable[[str, str], Reply | None] = lambda method, path: None,
        **options: Any,
    ) -> None:
        super().__init__(answer, **options)
        self.fates = list(fates)
        self.has_batches = has_batches
        self.fail = fail
        self._paid: Counter[str] = Counter()
        self.submitted: list[list[dict[str, Any]]] = []
        self.uploads = 0
        self.steps = 0
        self._files: dict[str, bytes] = {}
        self._batches: dict[str, _Batch] = {}

    @property
    def paid(self) -> Counter[str]:
        """The responses that cost money after all batches have ended, including batches that nobody polls."""
        for batch in self._batches.values():
            if not batch.ended:
                self._end(batch)
        return self._paid

    def _reply(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> Reply:
        place = path.partition("?")[0].removeprefix("/v1")
        if not place.startswith(("/files", "/batches")):
            return super()._reply(method, path, headers, raw)
        self.steps += 1
        if not self.has_batches:
            return error(404, "Not Found")
        failed = self.fail(method, place)
        if failed is not None:
            return failed
        if self.api_key is not None and headers.get("authorization") != f"Bearer {self.api_key}":
            return error(401, "wrong key")
        parts = place.strip("/").split("/")
        if parts[0] == "files":
            return self._upload(headers, raw) if method == "POST" else self._content(parts[1])
        if method == "POST":
            return self._make(json.loads(raw))
        if len(parts) == 1:
            listed = [self._shown(batch) for batch in reversed(self._batches.values())]
            return Reply(payload={"object": "list", "data": listed, "has_more": False})
        batch = self._batches.get(parts[1])
        if batch is None:
            return error(404, f"No batch found with id '{parts[1]}'.")
        batch.polls += 1
        if batch.polls > batch.fate.polls and not batch.ended:
            self._end(batch)
        return Reply(payload=self._shown(batch))

    def _upload(self, headers: Mapping[str, str], raw: bytes) -> Reply:
        boundary = b"--" + headers["content-type"].partition("boundary=")[2].encode()
        for part in raw.split(boundary):
            head, _, content = part.partition(b"\r\n\r\n")
            if b'name="file"' in head:
                self.uploads += 1
                name = f"file-{len(self._files)}"
                self._files[name] = content.removesuffix(b"\r\n")
                return Reply(payload={"id": name, "object": "file", "purpose": "batch"})
        return error(400, "no file")

    def _content(self, name: str) -> Reply:
        content = self._files.get(name)
        for batch in self._batches.values():
            if content and batch.output == name and batch.cuts < batch.fate.cut:
                batch.cuts += 1
                return Reply(payload=content[: content[:-1].rfind(b"\n") + 9])
        return error(404, f"No such file {name}") if content is None else Reply(payload=content)

    def _make(self, request: dict[str, Any]) -> Reply:
        number = len(self._batches)
        fate = self.fates[number] if number < len(self.fates) else Fate()
        batch = _Batch(f"batch_{number}", number, fate, request)
        self._batches[batch.id] = batch
        self.submitted.append(self._lines(batch))
        return Reply(drop=True) if fate.lose_created else Reply(payload=self._shown(batch))

    def _lines(self, batch: _Batch) -> list[dict[str, Any]]:
        return [json.loads(line) for line in self._files[batch.request["input_file_id"]].splitlines()]

    def _end(self, batch: _Batch) -> None:
        batch.ended = True
        if batch.fate.status == "failed":
            return
        answers, failures = list(batch.fate.extra), []
        lines = self.submitted[batch.number]
        for position, line in enumerate(lines):
            if batch.fate.answered is not None and position >= batch.fate.answered:
                said = {"code": f"batch_{batch.fate.status}", "message": "This request could not be executed."}
                failures.append(_result(line["custom_id"], None, None, said))
                continue
            status, body = batch.fate.line_errors.get(position) or self._answered(line["body"])
            if status < 400:
                batch.answered += 1
                self._paid[line["custom_id"]] += 1
            (answers if status < 400 else failures).append(_result(line["custom_id"], status, body, None))
        batch.output = self._keep(answers[::-1] if batch.fate.reverse else answers)
        batch.errors = self._keep(failures)

    def _answered(self, body: dict[str, Any]) -> tuple[int, Any]:
        wanted = (body.get("response_format") or {}).get("type", "text")
        if wanted != "text" and wanted not in self.json_modes:
            return 400, {"error": {"message": f"response_format {wanted} is not supported"}}
        reply = self.answer(body)
        reply = Reply(text=reply) if isinstance(reply, str) else reply
        payload = reply.payload if reply.payload is not None else _completion(reply, json.dumps(body).encode())
        return reply.status, payload

    def _keep(self, lines: Sequence[bytes]) -> str | None:
        if not lines:
            return None
        name = f"file-{len(self._files)}"
        self._files[name] = b"".join(line + b"\n" for line in lines)
        return name

    def _shown(self, batch: _Batch) -> dict[str, Any]:
        errors = [{"code": code, "message": message} for code, message in batch.fate.errors]
        return {
            "id": batch.id,
            "object": "batch",
            "status": batch.fate.status if batch.ended else "in_progress",
            "output_file_id": batch.output,
            "error_file_id": batch.errors,
            "errors": {"object": "list", "data": errors} if batch.ended and errors else None,
            "request_counts": {"total": len(self.submitted[batch.number]), "completed": batch.answered, "failed": 0},
            "created_at": batch.number,
            **batch.request,
        }


def _result(key: str, status: int | None, body: Any, said: Any) -> bytes:
    response = None if status is None else {"status_code": status, "request_id": "r", "body": body}
    return json.dumps({"id": f"x-{key[:6]}", "custom_id": key, "response": response, "error": said}).encode()
