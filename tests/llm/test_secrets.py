"""An API key reaches the server, and nothing else."""

from __future__ import annotations

import base64
import io
import json
import logging
import traceback
from typing import Any
from urllib.parse import quote

import pytest
from loguru import logger

from mergeit_ops.errors import LLMError, LLMUnavailableError
from tests.llm.conftest import answers_of, engine_for, merge_requests
from tests.llm.raw_server import RawServer, response
from tests.llm_server import FakeLLMServer, Reply, error

KEY = "very-secret-key-0123456789"


@pytest.fixture
def everything_logged():
    """Collect all that any logger says, with variables shown in tracebacks."""
    text = io.StringIO()
    sink = logger.add(text, level=0, backtrace=True, diagnose=True)
    handler = logging.StreamHandler(text)
    root = logging.getLogger()
    level = root.level
    root.addHandler(handler)
    root.setLevel(0)
    yield text
    root.removeHandler(handler)
    root.setLevel(level)
    logger.remove(sink)


@pytest.mark.parametrize(
    ("server", "raised"),
    [
        (FakeLLMServer(), type(None)),
        # This server repeats the header it was sent.
        (FakeLLMServer(api_key="another"), LLMUnavailableError),
        (FakeLLMServer(lambda body: error(400, f"strange request with {KEY}")), LLMUnavailableError),
    ],
    ids=["good", "wrong key", "echoed in an error"],
)
def test_the_key_is_in_no_log_exception_repr_or_journal(server, raised, everything_logged, monkeypatch, tmp_path):
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    file = tmp_path / "a.db"
    with server:
        engine = engine_for(server, cache_path=str(file))
        failure = None
        try:
            answers_of(engine, merge_requests(3))
        except LLMError as caught:
            failure = caught
            logger.exception("stopped")
            everything_logged.write("".join(traceback.format_exception(caught)))
        assert isinstance(failure, raised)
        assert server.headers[0]["authorization"] == f"Bearer {KEY}"
        everything_logged.write(repr(engine) + repr(vars(engine)) + repr(engine.backend_factory))
    written = b"".join(path.read_bytes() for path in tmp_path.rglob("*") if path.is_file())
    assert KEY.encode() not in written
    assert KEY not in everything_logged.getvalue()


def test_a_password_in_the_address_is_not_shown(monkeypatch):
    monkeypatch.setenv("OPENAI_BASE_URL", "http://user:pass-word@127.0.0.1:1/v1?token=abc")
    with pytest.raises(LLMUnavailableError) as caught:
        answers_of(engine_for("", model_params={"base_url": None}), merge_requests(1))
    assert "127.0.0.1:1" in str(caught.value)
    assert "pass-word" not in str(caught.value)
    assert "abc" not in str(caught.value)


CUSTOM, HEADER, PASSWORD = "cus7om-secret-1", "h3ader-secret-2", "pr0xy-pass/word-3"
BASIC = base64.b64encode(f"me:{PASSWORD}".encode()).decode()
SENT = {"key": KEY, "custom header": CUSTOM, "own header": HEADER, "password": PASSWORD, "proxy header": BASIC}


def page(title: str, status: int) -> Reply:
    text = f"<html><title>{title}</title></html>".encode()
    return Reply(status=status, payload=text, headers={"Content-Type": "text/html"})


def choice(content: Any = "", finish: str = "stop", model: str = "m", **fields: Any) -> Reply:
    listed = [{"message": {"content": content, **fields}, "finish_reason": finish}]
    return Reply(payload={"model": model, "choices": listed})


WAYS = {
    "an error": lambda text: error(401, f"bad header {text}"),
    "an error, cut off": lambda text: error(400, "x" * 280 + text),
    "an error in lines": lambda text: error(400, f"bad header {text[:7]}\n{text[7:]}"),
    "an error without words": lambda text: Reply(status=400, payload={"sent": {"headers": [f"Bearer {text}"]}}),
    "an error in a response": lambda text: Reply(payload={"error": {"message": f"bad header {text}"}}),
    "a web page": lambda text: page(text, 200),
    "a web page as an error": lambda text: page(f"Denied {text}", 502),
    "a web page, cut off": lambda text: page("x" * 112 + text, 403),
    "a redirect": lambda text: Reply(status=302, payload=b"", headers={"Location": f"https://x/{quote(text)}/y"}),
    "a refusal": lambda text: choice(None, refusal=f"no {text}"),
    "an answer that cannot be read": lambda text: choice(f"Your key is {text}"),
    "a reason to stop": lambda text: choice(finish=text),
    "another model": lambda text: choice(
        json.dumps({"instruction": "Explain item 0 and list 0.", "input": "", "output": "Item 0 is a thing. 1, 2"}),
        model=f"x{text}",
    ),
}


@pytest.mark.parametrize("way", WAYS)
def test_what_is_sent_in_confidence_is_masked_wherever_a_server_repeats_it(way, monkeypatch):
    text = io.StringIO()
    sink = logger.add(text, level=0)
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.setenv("OPENAI_CUSTOM_HEADERS", f"X-Pass: {CUSTOM}")
    with FakeLLMServer(lambda body: WAYS[way](" ".join(SENT.values()))) as server:
        monkeypatch.setenv("HTTP_PROXY", server.base_url.replace("//", f"//me:{quote(PASSWORD, safe='')}@"))
        params = {"base_url": "http://llm.example/v1", "default_headers": {"X-Session": HEADER}}
        engine = engine_for("", cache_path=None, max_concurrency=1, model_params=params)
        try:
            _, usage = answers_of(engine, merge_requests(3))
            text.write(repr(usage))
        except LLMError as failure:
            text.write(str(failure))
        text.write(repr(engine.figures()))
        assert server.requests
    logger.remove(sink)
    assert not [name for name, secret in SENT.items() if secret[:6] in text.getvalue()]


def test_a_proxy_that_repeats_a_password_as_it_refuses_is_masked(monkeypatch):
    with RawServer(response(b"", f"403 no {PASSWORD}")) as proxy:
        monkeypatch.setenv("HTTPS_PROXY", f"http://me:{quote(PASSWORD, safe='')}@127.0.0.1:{proxy.port}")
        with pytest.raises(LLMUnavailableError, match=r"no \*\*\*") as caught:
            answers_of(engine_for("https://llm.example/v1", cache_path=None), merge_requests(1))
    assert PASSWORD not in str(caught.value)


def test_a_query_of_an_endpoint_is_not_shown():
    with FakeLLMServer(lambda body: error(404, "no such path")) as server:
        whole = f"{server.base_url}/chat/completions?id=h1dden-word"
        with pytest.raises(LLMUnavailableError, match="does not know") as caught:
            answers_of(engine_for(server, api_endpoint=whole), merge_requests(1))
    assert "h1dden" not in str(caught.value)
