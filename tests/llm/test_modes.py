"""Finding out which way of asking a server accepts: here, how it can be held to JSON."""

from __future__ import annotations

import asyncio

import pytest

from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.modes import Modes
from mergeit_ops.llm.servers import response_formats

SCHEMA = {"type": "object"}
FORMATS = response_formats(SCHEMA)
MODES = range(len(FORMATS))
SCHEMA_MODE, *_, LOWEST = MODES


def refused(status: int = 400, kind: FailureKind = FailureKind.BAD_REQUEST, **more) -> CallFailedError:
    return CallFailedError(kind, "no", status=status, **more)


class Server:
    """Takes some modes, and fails in the others."""

    def __init__(self, *taken, failure=None):
        self.taken = taken
        self.failure = failure or refused()
        self.asked = []

    async def send(self, response_format):
        mode = FORMATS.index(response_format)
        self.asked.append(mode)
        if mode not in self.taken:
            raise self.failure
        return mode


def ask(modes: Modes, server: Server):
    return asyncio.run(modes.send(server.send, FORMATS))


def test_the_strictest_mode_comes_first_and_none_at_all_last():
    assert FORMATS[SCHEMA_MODE]["json_schema"]["schema"] == SCHEMA
    assert FORMATS[LOWEST] is None


@pytest.mark.parametrize("taken", MODES)
def test_the_strictest_mode_that_is_taken_is_found_once(taken):
    modes, server = Modes(["response_format"]), Server(taken)
    assert ask(modes, server) == taken
    assert server.asked == list(MODES[: taken + 1])
    server.asked.clear()
    assert ask(modes, server) == taken
    assert server.asked == [taken]


def test_a_server_that_takes_nothing_fails_with_its_last_refusal():
    modes, server = Modes(["response_format"]), Server()
    with pytest.raises(CallFailedError):
        ask(modes, server)
    assert server.asked == list(MODES)


def test_a_mode_that_has_succeeded_is_never_given_up():
    modes = Modes(["response_format"])
    ask(modes, Server(*MODES))
    server = Server()
    with pytest.raises(CallFailedError):
        ask(modes, server)
    assert server.asked == [SCHEMA_MODE]
    assert modes.mode == 0


@pytest.mark.parametrize(
    ("failure", "tried"),
    [
        (refused(422), len(MODES)),
        (refused(500, FailureKind.TRANSIENT), len(MODES)),
        (refused(400, field="response_format"), len(MODES)),
        (refused(400, field="temperature"), 1),
        (refused(401, FailureKind.UNAUTHORIZED), 1),
        (refused(429, FailureKind.RATE_LIMITED), 1),
        (refused(503, FailureKind.TRANSIENT), 1),
        (refused(500, FailureKind.TRANSIENT, retry_after=1.0), 1),
        (CallFailedError(FailureKind.UNREACHABLE, "no"), 1),
    ],
)
def test_only_a_refusal_of_the_mode_leads_to_the_next(failure, tried):
    server = Server(failure=failure)
    with pytest.raises(CallFailedError):
        ask(Modes(["response_format"]), server)
    assert len(server.asked) == tried


def test_after_an_answer_an_error_of_the_server_is_no_refusal():
    modes = Modes(["response_format"])
    ask(modes, Server(1))
    server = Server(failure=refused(500, FailureKind.TRANSIENT))
    with pytest.raises(CallFailedError):
        ask(modes, server)
    assert server.asked == [1]


def test_what_another_search_found_is_learnt():
    found, modes = Modes(["response_format"]), Modes(["response_format"])
    ask(found, Server(LOWEST))
    modes.add(found)
    assert modes.mode == LOWEST
    strict = Modes(["response_format"])
    ask(strict, Server(SCHEMA_MODE))
    modes.add(strict)
    assert modes.mode == 0
    modes.add(Modes(["response_format"]))
    assert modes.mode == 0
    assert found.mode == LOWEST
