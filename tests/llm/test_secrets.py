"""An API key reaches the server, and nothing else."""

from __future__ import annotations

import io
import logging
import traceback

import pytest
from loguru import logger

from mergeit_ops.errors import LLMError, LLMUnavailableError
from tests.llm.conftest import answers_of, engine_for, merge_requests
from tests.llm_server import FakeLLMServer, error

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
