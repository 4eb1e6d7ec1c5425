"""Claims on questions, as the actor keeps them: one asks, the others wait, and nobody waits for the dead."""

from __future__ import annotations

import asyncio

import pytest

from mergeit_ops.distributed import claims, holders
from mergeit_ops.distributed.claims import Claimant, Claims

A, B, C = (Claimant(f"task {name}", f"process {name}", f"run {name}") for name in "abc")


def run(scenario):
    return asyncio.run(asyncio.wait_for(scenario(), 20))


async def waiting(keeper, *claimants):
    """Have runs wait for a claimed question."""
    calls = [asyncio.ensure_future(keeper.claim("q", claimant)) for claimant in claimants]
    await asyncio.sleep(0.01)
    assert not any(call.done() for call in calls)
    return calls


@pytest.fixture
def impatient(monkeypatch):
    monkeypatch.setattr(claims, "POLL_S", 0.05)
    monkeypatch.setattr(holders, "LOST_S", 0.2)


def test_the_first_asks_and_all_others_get_its_answer():
    async def scenario():
        keeper = Claims()
        assert await keeper.claim("q", A) is None
        calls = await waiting(keeper, B, C)
        keeper.answered("q", ("text", "model"))
        assert await asyncio.gather(*calls) == [("text", "model")] * 2
        # It is over: who asks now has not looked into the journal.
        assert await keeper.claim("q", C) is None

    run(scenario)


def test_a_run_does_not_wait_for_itself_or_for_other_questions():
    async def scenario():
        keeper = Claims()
        assert await keeper.claim("q", A) is None
        assert await keeper.claim("q", A) is None
        assert await keeper.claim("other", B) is None

    run(scenario)


def test_if_there_is_no_answer_the_next_in_order_asks_alone():
    async def scenario():
        keeper = Claims()
        await keeper.claim("q", A)
        first, second = await waiting(keeper, B, C)
        # Only the one with the claim can give it up.
        keeper.release("q", C)
        keeper.release("q", A)
        assert await first is None
        await asyncio.sleep(0.01)
        assert not second.done()
        keeper.answered("q", ("text", None))
        assert await second == ("text", None)

    run(scenario)


def test_a_run_that_ends_leaves_its_claims_and_waits_for_none():
    async def scenario():
        keeper = Claims()
        await keeper.claim("q", A)
        gone, left = await waiting(keeper, B, C)
        keeper.end(B)
        keeper.end(A)
        assert await gone is None
        assert await left is None
        # A message of a run that has ended comes late: it must not get the claim.
        keeper.release("q", C)
        assert await keeper.claim("q", A) is None
        assert await keeper.claim("q", B) is None
        assert await keeper.claim("q", C) is None
        await waiting(keeper, B._replace(run="another"))

    run(scenario)


def test_nobody_waits_for_a_process_that_keeps_silent(impatient):
    async def scenario():
        keeper = Claims()
        await keeper.claim("q", A)
        (call,) = await waiting(keeper, B)
        for _ in range(4):
            await asyncio.sleep(0.1)
            keeper.hear(A)
            keeper.hear(B)
        # A lives, however long its answer takes.
        assert not call.done()
        while not call.done():
            await asyncio.sleep(0.1)
            keeper.hear(B)
        assert await call is None
        # The answer comes after all.
        (late,) = await waiting(keeper, C)
        keeper.answered("q", ("text", None))
        assert await late == ("text", None)

    run(scenario)


def test_a_claim_goes_to_nobody_who_is_lost(impatient):
    async def scenario():
        keeper = Claims()
        await keeper.claim("q", A)
        _, living = await waiting(keeper, B, C)
        while not living.done():
            await asyncio.sleep(0.1)
            keeper.hear(C)
        assert await living is None

    run(scenario)


def test_a_task_that_starts_again_does_not_wait_for_the_process_it_had():
    async def scenario():
        keeper = Claims()
        await keeper.claim("q", A)
        await keeper.claim("own", A)
        (call,) = await waiting(keeper, B)
        again = A._replace(holder="another process", run="another run")
        assert await keeper.claim("own", again) is None
        assert await call is None
        # Messages of the dead process arrive late.
        keeper.hear(A)
        keeper.release("own", A)
        assert await keeper.claim("new", A) is None
        assert await keeper.claim("new", B) is None
        (held,) = [asyncio.ensure_future(keeper.claim("own", C))]
        await asyncio.sleep(0.01)
        assert not held.done()
        held.cancel()

    run(scenario)
