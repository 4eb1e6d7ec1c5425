"""A small OpenAI-compatible server on the loopback interface, for tests and for trying recipes by hand.

In a test: `with FakeLLMServer(answer=..., latency_s=0.01) as server: ... server.base_url ...`.
By hand: `python tests/llm_server.py --port 8000 --latency 0.1`.
"""

from __future__ import annotations

import argparse
import asyncio
import json
import re
import threading
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, field
from http import HTTPStatus
from typing import Any

_RECORDS = re.compile(r"<records>\s*(\[.*?\])\s*</records>", re.DOTALL)
_HEAD_LIMIT = 64 * 1024

MODEL = "made-up-answers"
"""What the server calls itself, whatever model it is asked for: exports name who has answered."""


@dataclass(frozen=True)
class Reply:
    """What the server sends back.

    :param text: text of the model; None: null content.
    :param status: HTTP status; from 400 on, the response has an error body.
    :param headers: additional headers; the server closes the connection after `Connection: close`.
    :param payload: whole body (a JSON value, or bytes that need not be JSON); None: a completion with `text`.
    :param finish_reason: finish reason of the choice.
    :param refusal: refusal of the message.
    :param usage: prompt and completion tokens; None: no usage; "auto": one token for four characters.
    :param cached: prompt tokens that the usage reports as cached; None: not reported.
    :param model: name of the model in the response.
    :param drop: close the connection without a response.
    :param latency_s: latency in seconds instead of the server's.
    """

    text: str | None = ""
    status: int = 200
    headers: Mapping[str, str] = field(default_factory=dict)
    payload: Any = None
    finish_reason: str = "stop"
    refusal: str | None = None
    usage: tuple[int, int] | str | None = "auto"
    cached: int | None = None
    drop: bool = False
    latency_s: float | None = None
    model: str = MODEL


Answer = Callable[[dict[str, Any]], "str | Reply"]


def error(status: int, message: str = "out of order", *, retry_after: str | None = None, **fields: Any) -> Reply:
    """Return an error response in OpenAI's form."""
    headers = {} if retry_after is None else {"Retry-After": retry_after}
    return Reply(status=status, headers=headers, payload={"error": {"message": message, **fields}})


def parents_of(body: Mapping[str, Any]) -> list[dict[str, str]]:
    """Return the records of the last turn with records; empty if no turn has any."""
    for turn in reversed(body.get("messages") or []):
        found = _RECORDS.search(str(turn.get("content", "")))
        if found:
            return json.loads(found.group(1))
    return []


def merged_instruction(parents: list[dict[str, str]]) -> str:
    """Merge the instructions of records into one that keeps every demand."""
    demands = [record["instruction"].strip().rstrip(".") for record in parents]
    return f"{demands[0]}, and as part of the same answer do the following: " + "; then ".join(demands[1:]) + "."


def merged_row(parents: list[dict[str, str]]) -> dict[str, str]:
    """Merge records into one that keeps every demand and every answer."""
    joined = merged_instruction(parents)
    inputs = [record.get("input", "").strip() for record in parents]
    return {
        "instruction": joined,
        "input": "\n\n".join(text for text in inputs if text),
        "output": "\n\n".join(record["output"].strip() for record in parents),
    }


_ADDED = ["please", "take", "care", "of", "each", "step", "in", "turn", "and"]
_WORDS_WANTED = re.compile(r"has (\d+) words\. Yours must have (\d+) to (\d+) words")


def rewritten_row(body: Mapping[str, Any]) -> dict[str, str] | None:
    """Rewrite the record of a request by the rules in the request; None if it is not a request for rewriting."""
    parents = parents_of(body)
    if len(parents) != 1:
        return None
    (record,), said = parents, "\n".join(str(turn["content"]) for turn in body["messages"])
    if found := _WORDS_WANTED.search(said):
        words, least, most = map(int, found.groups())
        added = max(least - words, min(most - words, 13))
        instruction = " ".join([record["instruction"], *(_ADDED * 9)[:added]])
        return {"instruction": instruction, "input": record.get("input", "")}
    if said.startswith("You are an editor"):
        return {"instruction": record["instruction"].strip(), "output": f"{record['output'].strip()} That is all."}
    return None


def backtranslated(body: Mapping[str, Any]) -> str | None:
    """Write an instruction or a task for the text of a request; None if the request has no text."""
    parents = parents_of(body)
    if len(parents) != 1 or set(parents[0]) != {"text"}:
        return None
    text = parents[0]["text"].strip()
    instruction = f"Tell me about this: {' '.join(text.split()[:6])}"
    if "#instruction#" in str(body["messages"][-1]["content"]):
        return f"#instruction#: {instruction}\n#input#:\n#output#: {text.splitlines()[0]}"
    return json.dumps({"instruction": instruction}, ensure_ascii=False)


def merge_answer(body: Mapping[str, Any]) -> str | Reply:
    """Answer like a model that merges and rewrites well and finds every row good; answer 4 to anything else."""
    if "prompt" in body:
        return logprobs_reply({str(digit): -0.01 if digit == 4 else -9.0 for digit in range(1, 7)})
    parents = parents_of(body)
    if (rewritten := rewritten_row(body)) is not None:
        return json.dumps(rewritten, ensure_ascii=False)
    if (made := backtranslated(body)) is not None:
        return made
    if parents and "output" not in parents[0]:
        return json.dumps({"instruction": merged_instruction(parents)}, ensure_ascii=False)
    if len(parents) == 1:
        return judged(body, 4)
    return json.dumps(merged_row(parents), ensure_ascii=False) if parents else "4"


def judgement(score: Any, reason: str = "It does what was asked.") -> str:
    """Return the answer of a judge."""
    return json.dumps({"reason": reason, "score": score})


def judged(body: Mapping[str, Any], score: Any, answers: Sequence[bool] = ()) -> str:
    """Return the answer of a judge in the requested form.

    :param body: a request of `llm_judge`.
    :param score: the score for any rubric.
    :param answers: answers to the questions of a checklist; missing ones are yes.
    """
    wanted = str(body["messages"][-1]["content"]).rpartition("\n\n")[2]
    if "number only" in wanted:
        return str(score)
    if "first line" in wanted:
        return f"{score}\nIt does what was asked."
    if "last line" in wanted:
        return f"It does what was asked.\nScore: {score}"
    if questions := re.search(r"all (\d+) questions", wanted):
        said = [*answers, *[True] * int(questions[1])][: int(questions[1])]
        return "\n".join(f"{number}: {'yes' if one else 'no'}" for number, one in enumerate(said, start=1))
    system = str(body["messages"][0]["content"])
    if names := re.findall(r"^- (\w+): a (?:whole )?number", system, re.MULTILINE):
        explained = '"reason"' in system
        return json.dumps({name: {"reason": "So.", "score": score} if explained else score for name in names})
    return judgement(score)


def logprobs_reply(logprobs: Mapping[str, float] | None, *, shape: str = "completions", **fields: Any) -> Reply:
    """Return a text completion of one token with the log-probabilities of that position.

    :param logprobs: log-probability of each token; None: the server gives none.
    :param shape: `completions`: a mapping, as in vLLM; `chat`: a list, as in llama.cpp.
    :param fields: fields of `Reply`.
    """
    listed = [{"token": token, "logprob": value, "bytes": []} for token, value in (logprobs or {}).items()]
    written: dict[str, Any] | None = {"tokens": ["4"], "top_logprobs": [dict(logprobs or {})]}
    if shape == "chat":
        written = {"content": [{"token": "4", "logprob": 0.0, "top_logprobs": listed}]}
    choice = {"index": 0, "text": "4", "logprobs": None if logprobs is None else written, "finish_reason": "length"}
    usage = {"prompt_tokens": 100, "completion_tokens": 1}
    return Reply(payload={"object": "text_completion", "choices": [choice], "usage": usage}, **fields)


Listed = Sequence[tuple["str | None", "float | None"]]


def listed_prompt_reply(
    prompt: Listed, completion: Listed = (("4", -0.5),), usage: tuple[int, int] | None = None, **fields: Any
) -> Reply:
    """Return a text completion with the tokens of its prompt and their log-probabilities, as with `echo`.

    :param prompt: tokens of the prompt with their log-probabilities; that of the first token is None.
    :param completion: tokens of the completion with their log-probabilities.
    :param usage: reported tokens of prompt and completion; None: the numbers of listed tokens.
    :param fields: further fields of the choice.
    """
    listed = [*prompt, *completion]
    texts, values = [text for text, _ in listed], [value for _, value in listed]
    top = [None if value is None else {text: value} for text, value in listed]
    logprobs = {"tokens": texts, "token_logprobs": values, "top_logprobs": top}
    text = "".join(str(text or "") for text in texts)
    choice = {"index": 0, "text": text, "logprobs": logprobs, "finish_reason": "length", **fields}
    counts = usage or (len(prompt), len(completion))
    told = {"prompt_tokens": counts[0], "completion_tokens": counts[1], "total_tokens": sum(counts)}
    return Reply(payload={"object": "text_completion", "choices": [choice], "usage": told})


class FakeLLMServer:
    """Serves chat completions (and any other POST path) on 127.0.0.1 in its own thread.

    :param answer: makes the reply to a request body, in the server's thread.
    :param latency_s: seconds before a reply is sent, without using the processor.
    :param api_key: if given, any other key gets a 401.
    :param models: if given, any other model gets a 404.
    :param json_modes: accepted kinds of `response_format`; others get a 400.
    :param port: port to listen on; 0: a free one.

    `tokens` counts the reported tokens of all answers, and `max_in_flight` the most requests at the same time.
    """

    def __init__(
        self,
        answer: Answer = merge_answer,
        latency_s: float = 0.0,
        *,
        api_key: str | None = None,
        models: tuple[str, ...] | None = None,
        json_modes: tuple[str, ...] = ("json_schema", "json_object", "text"),
        port: int = 0,
    ) -> None:
        self.answer = answer
        self.latency_s = latency_s
        self.api_key = api_key
        self.models = models
        self.json_modes = json_modes
        self.requests: list[dict[str, Any]] = []
        self.headers: list[dict[str, str]] = []
        self.paths: list[str] = []
        self.tokens = 0
        self.in_flight = 0
        self.max_in_flight = 0
        self.port = port
        self._loop: asyncio.AbstractEventLoop | None = None
        self._stop: asyncio.Event | None = None
        self._ready = threading.Event()
        self._failure: BaseException | None = None
        self._thread = threading.Thread(target=self._run, name="fake-llm-server", daemon=True)

    @property
    def base_url(self) -> str:
        return f"http://127.0.0.1:{self.port}/v1"

    def __enter__(self) -> FakeLLMServer:
        self._thread.start()
        self._ready.wait()
        if self._failure is not None:
            raise self._failure
        return self

    def __exit__(self, *_: object) -> None:
        assert self._loop is not None
        assert self._stop is not None
        self._loop.call_soon_threadsafe(self._stop.set)
        self._thread.join()

    def _run(self) -> None:
        try:
            asyncio.run(self._serve())
        except BaseException as failure:
            self._failure = failure
            self._ready.set()

    async def _serve(self) -> None:
        self._loop = asyncio.get_running_loop()
        self._stop = asyncio.Event()
        connections: set[asyncio.Task[None]] = set()

        async def connected(reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
            task = asyncio.current_task()
            assert task is not None
            connections.add(task)
            try:
                await self._talk(reader, writer)
            except (asyncio.CancelledError, ConnectionError, asyncio.IncompleteReadError):
                pass
            finally:
                connections.discard(task)
                writer.close()

        server = await asyncio.start_server(connected, "127.0.0.1", self.port, limit=_HEAD_LIMIT, backlog=1024)
        self.port = server.sockets[0].getsockname()[1]
        self._ready.set()
        await self._stop.wait()
        server.close()
        for task in list(connections):
            task.cancel()
        await asyncio.gather(*connections, return_exceptions=True)

    async def _talk(self, reader: asyncio.StreamReader, writer: asyncio.StreamWriter) -> None:
        while True:
            head = (await reader.readuntil(b"\r\n\r\n")).decode("latin-1").split("\r\n")
            method, path, _ = head[0].split(" ", 2)
            headers = {name.lower(): value.strip() for name, _, value in (line.partition(":") for line in head[1:])}
            raw = await reader.readexactly(int(headers.get("content-length") or 0))
            self.in_flight += 1
            self.max_in_flight = max(self.max_in_flight, self.in_flight)
            try:
                reply = self._reply(method, path, headers, raw)
                latency = self.latency_s if reply.latency_s is None else reply.latency_s
                if latency:
                    await asyncio.sleep(latency)
            finally:
                self.in_flight -= 1
            if reply.drop:
                return
            writer.write(_encoded(reply, raw))
            await writer.drain()
            if reply.headers.get("Connection") == "close":
                return

    def _reply(self, method: str, path: str, headers: dict[str, str], raw: bytes) -> Reply:
        if method == "GET" and path.endswith("/models"):
            return Reply(payload={"object": "list", "data": [{"id": name} for name in self.models or (MODEL,)]})
        body = json.loads(raw)
        self.requests.append(body)
        self.headers.append(headers)
        self.paths.append(path)
        if self.api_key is not None and headers.get("authorization") != f"Bearer {self.api_key}":
            return error(401, f"wrong key: {headers.get('authorization')}")
        if self.models is not None and body.get("model") not in self.models:
            return error(404, f"no model {body.get('model')}")
        wanted = (body.get("response_format") or {}).get("type", "text")
        if wanted != "text" and wanted not in self.json_modes:
            return error(400, f"response_format {wanted} is not supported")
        reply = self.answer(body)
        reply = Reply(text=reply) if isinstance(reply, str) else reply
        # Fuzzed replies can report any value.
        self.tokens += sum(count for count in _usage(reply, raw) or () if isinstance(count, int))
        return reply


def _encoded(reply: Reply, request: bytes) -> bytes:
    payload = _completion(reply, request) if reply.payload is None else reply.payload
    content = payload if isinstance(payload, bytes) else json.dumps(payload).encode("ascii")
    headers = {"Content-Type": "application/json", "Content-Length": str(len(content)), **reply.headers}
    lines = [f"HTTP/1.1 {reply.status} {HTTPStatus(reply.status).phrase}"]
    lines += [f"{name}: {value}" for name, value in headers.items()]
    return "\r\n".join(lines).encode("latin-1") + b"\r\n\r\n" + content


def _completion(reply: Reply, request: bytes) -> dict[str, Any]:
    if reply.status >= 400:
        return {"error": {"message": HTTPStatus(reply.status).phrase}}
    message = {"role": "assistant", "content": reply.text, "refusal": reply.refusal}
    body: dict[str, Any] = {
        "id": "chatcmpl-0",
        "object": "chat.completion",
        "model": reply.model,
        "choices": [{"index": 0, "message": message, "finish_reason": reply.finish_reason}],
    }
    usage = _usage(reply, request)
    if usage is not None:
        prompt, completion = usage
        body["usage"] = {"prompt_tokens": prompt, "completion_tokens": completion}
        if reply.cached is not None:
            body["usage"]["prompt_tokens_details"] = {"cached_tokens": reply.cached}
    return body


def _usage(reply: Reply, request: bytes) -> tuple[int, int] | None:
    if reply.usage == "auto":
        return len(request) // 4, len(reply.text or "") // 4
    return reply.usage if isinstance(reply.usage, tuple) else None


def main() -> None:
    """Serve until interrupted."""
    parser = argparse.ArgumentParser(description="An OpenAI-compatible server that merges and judges.")
    parser.add_argument("--port", type=int, default=8000)
    parser.add_argument("--latency", type=float, default=0.0, help="seconds until an answer is sent")
    options = parser.parse_args()
    with FakeLLMServer(latency_s=options.latency, port=options.port) as server:
        print(f"OPENAI_BASE_URL={server.base_url}", flush=True)
        try:
            threading.Event().wait()
        except KeyboardInterrupt:
            print(f"{len(server.requests)} requests")


if __name__ == "__main__":
    main()
