"""A run that asks in batches is killed, whenever it may be: the next one goes on, and nothing is paid twice."""

from __future__ import annotations

import json
import signal
import subprocess
import sys
from pathlib import Path

import pytest

from tests.batch_server import FakeBatchServer, Fate
from tests.conftest import REPOSITORY
from tests.llm_server import Reply

ROWS = 12
RUN = """
import json, os, signal, sys
from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.retry import RetryPolicy
from mergeit_ops.llm.settings import LLMSettings

url, journal, kill_at, kill_after, rows, mode = json.loads(sys.argv[1])
parsed = 0

def parse(text):
    global parsed
    parsed += 1
    if kill_at == "parse" and parsed == kill_after:
        os.kill(os.getpid(), signal.SIGKILL)
    if text == "short":
        raise ReplyError(FailureReason.LENGTH, "Longer, please.")
    if text == "bad":
        raise ReplyError(FailureReason.UNPARSABLE)
    return text

ended = []

def settle(outcome):
    ended.append((outcome.tag, outcome.answers, outcome.error))
    if kill_at == "outcome" and len(ended) == kill_after:
        os.kill(os.getpid(), signal.SIGKILL)

settings = LLMSettings(
    model_params={"base_url": url}, cache_path=journal, api_mode=mode, batch_poll_interval=0.02, batch_max_requests=7
)
engine = build_engine(settings)
engine.policy = RetryPolicy(base_s=0.01, cap_s=0.02, first_contact_s=0.01)
requests = [LLMRequest(n, ({"role": "user", "content": f"row {n}"},), parse) for n in range(rows)]
usage = engine.run(requests, settle)
print(json.dumps([ended, usage.calls, usage.cache_hits]))
"""
# The second batch expires, and in the first a row is too short, so that there are four batches in three rounds.
FATES = [Fate(), Fate("expired", answered=2), Fate(polls=2)]
MOMENTS = [
    *[("call", number) for number in (1, 2, 3, 4, 5, 6, 8, 10, 13, 16)],
    ("parse", 3),
    ("outcome", 5),
]


def answer(body) -> str:
    turns = body["messages"]
    return "short" if turns[-1]["content"] in ("row 2", "row 9") else f"answer to {turns[0]['content']}"


def run(server: FakeBatchServer, journal: Path, kill_at: str = "", kill_after: int = 0, mode: str = "batch"):
    given = json.dumps([server.base_url, str(journal), kill_at, kill_after, ROWS, mode])
    return subprocess.Popen([sys.executable, "-c", RUN, given], stdout=subprocess.PIPE, text=True, cwd=REPOSITORY)


def killed_and_run_again(journal: Path, kill_at: str, kill_after: int) -> None:
    process: list[subprocess.Popen[str]] = []

    def fail(method: str, path: str) -> Reply | None:
        if kill_at == "call" and server.steps == kill_after:
            # The call is served, but nobody is there to hear.
            process[0].send_signal(signal.SIGKILL)
            process[0].wait()
        return None

    with FakeBatchServer(answer, fates=FATES, fail=fail) as server:
        process.append(run(server, journal, kill_at, kill_after))
        process[0].communicate(timeout=60)
        assert process[0].returncode == -signal.SIGKILL
        again = run(server, journal)
        told, _ = again.communicate(timeout=60)
        assert again.returncode == 0
        ended = json.loads(told)[0]
        assert sorted(tag for tag, *_ in ended) == list(range(ROWS))
        assert all(error is None and len(answers) == 1 for _, answers, error in ended)
        # Every question, and the correction of two, is paid once.
        assert len(server.paid) == ROWS + 2
        assert set(server.paid.values()) == {1}
        # Nothing is left, for either mode.
        for mode in ("batch", "online"):
            told, _ = run(server, journal, mode=mode).communicate(timeout=60)
            assert json.loads(told)[1] == 0


@pytest.mark.parametrize(("kill_at", "kill_after"), [("call", 2), ("parse", 3)])
def test_a_killed_run_goes_on_with_the_batches_under_way(tmp_path, kill_at, kill_after):
    killed_and_run_again(tmp_path / "answers.db", kill_at, kill_after)


@pytest.mark.slow
@pytest.mark.parametrize(("kill_at", "kill_after"), MOMENTS)
def test_a_run_may_be_killed_at_any_moment(tmp_path, kill_at, kill_after):
    killed_and_run_again(tmp_path / "answers.db", kill_at, kill_after)
