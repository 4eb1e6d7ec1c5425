"""What a run says of itself while it goes on."""

from __future__ import annotations

import re

import pytest

from mergeit_ops.llm.prices import Prices
from mergeit_ops.llm.progress import Progress
from mergeit_ops.llm.usage import Usage
from tests.llm.conftest import answers_of, engine_for, merge_requests
from tests.llm_server import FakeLLMServer


class Clock:
    def __init__(self) -> None:
        self.now = 0.0

    def __call__(self) -> float:
        return self.now


def test_the_line_tells_what_is_done_what_it_took_and_how_long_the_rest_takes():
    usage, clock = Usage(), Clock()
    progress = Progress(usage, lambda: 100, prices=Prices(1.0, 2.0), bar=False, clock=clock)
    usage.answered, usage.failures = 18, {"refused": 2}
    usage.calls, usage.prompt_tokens, usage.completion_tokens = 23, 9_000, 1_000
    for _ in range(20):
        progress.step()
    clock.now = 40.0
    assert progress.line() == (
        "LLM: 20 of 100 requests done in 00:40, about 02:40 left, 18 with a usable answer, 2 failed, 23 calls, "
        "0 from cache, 10000 tokens (250/s), cost 11"
    )


def test_answers_from_the_journal_do_not_shorten_the_time_left():
    usage, clock = Usage(), Clock()
    progress = Progress(usage, lambda: 100, bar=False, clock=clock)
    usage.answered = usage.cache_hits = 40
    for _ in range(40):
        progress.step(asked=False)
    clock.now = 1.0
    assert "left" not in progress.line()
    usage.answered = 50
    for _ in range(10):
        progress.step()
    clock.now = 10.0
    assert "about 00:50 left" in progress.line()


@pytest.mark.parametrize("total", [None, 5])
def test_without_a_total_and_at_the_end_there_is_no_time_left(total):
    progress = Progress(Usage(answered=5), lambda: total, bar=False)
    progress.step()
    assert "left" not in progress.line()


def test_the_bar_shows_the_same_counters(capsys):
    usage = Usage(answered=3, calls=4, prompt_tokens=10)
    progress = Progress(usage, lambda: 3, bar=True)
    for _ in range(3):
        progress.step()
    progress.close()
    shown = capsys.readouterr().err
    assert "3/3" in shown
    assert "3 with a usable answer, 0 failed, 4 calls, 0 from cache, 10 tokens" in shown


def test_a_run_whose_output_is_no_terminal_ends_with_one_line(lines):
    with FakeLLMServer() as server:
        engine = engine_for(server)
        engine.run(merge_requests(3), lambda outcome: None, total=lambda: 3)
        answers_of(engine, [])
    (line,) = [message for message in lines if message.startswith("LLM:")]
    # The first run of a process loads the client library, which takes what it takes.
    assert re.match(r"LLM: 3 of 3 requests done in \d\d:\d\d, 3 with a usable answer, 0 failed, 3 calls", line)


def test_a_long_run_says_a_line_now_and_then(lines, monkeypatch):
    monkeypatch.setattr("mergeit_ops.llm.progress.LINE_EVERY_S", 0.05)
    with FakeLLMServer(latency_s=0.04) as server:
        engine_for(server, max_concurrency=1).run(merge_requests(10), lambda outcome: None, total=lambda: 10)
    messages = [message for message in lines if message.startswith("LLM:")]
    assert len(messages) >= 3
    assert any("left" in message for message in messages)
