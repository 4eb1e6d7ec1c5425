"""The limits of all tasks of an operator, as the actor keeps them; most tests need no cluster."""

from __future__ import annotations

import asyncio
import threading
import time

import pytest

from mergeit_ops.distributed import shared_limits
from mergeit_ops.distributed.shared_limits import _LimitsKeeper, share_limits, stopping_together, use_shared_limits
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.settings import LLMSettings

Keeper = _LimitsKeeper.__ray_metadata__.modified_class
"""What the actor runs."""


def run(scenario):
    return asyncio.run(scenario())


def test_tasks_share_the_tokens():
    async def scenario():
        keeper = Keeper(100, None)
        await keeper.start("t1", "h1")
        await keeper.start("t2", "h2")
        granted = [await keeper.reserve("h1", 60), await keeper.reserve("h2", 40)]
        await keeper.settle("h1", 60, 10)
        granted.append(await keeper.reserve("h2", 50))
        return granted, await keeper.overdrawn()

    granted, overdrawn = run(scenario)
    assert granted == [True, True, True]
    assert not overdrawn


def test_what_is_spent_is_not_granted_again():
    async def scenario():
        keeper = Keeper(100, None)
        await keeper.start("t", "h")
        assert await keeper.reserve("h", 90)
        await keeper.settle("h", 90, 90)
        return await keeper.reserve("h", 20)

    assert run(scenario) is False


@pytest.mark.parametrize(("left", "fits"), [(40, True), (41, False)])
def test_the_reserve_of_a_lost_worker_counts_as_spent(left, fits):
    async def scenario():
        keeper = Keeper(100, None)
        await keeper.start("t", "lost")
        await keeper.reserve("lost", 60)
        await keeper.start("t", "again")
        # Its answer comes after all: the tokens are spent already.
        await keeper.settle("lost", 60, 5)
        return await keeper.reserve("again", left)

    assert run(scenario) is fits


def test_no_more_calls_have_a_place_than_there_are_and_those_that_waited_come_in_order():
    async def scenario():
        keeper = Keeper(None, 2)
        await keeper.occupy("h1", 0)
        await keeper.occupy("h2", 0)
        order = []

        async def wait(holder):
            await keeper.occupy(holder, 1)
            order.append(holder)

        waiting = [asyncio.ensure_future(wait(holder)) for holder in ("h2", "h1")]
        await asyncio.sleep(0.01)
        full = list(order)
        await keeper.leave("h1", 0)
        await asyncio.sleep(0.01)
        first = list(order)
        await keeper.leave("h2", 0)
        await asyncio.gather(*waiting)
        return full, first, order

    assert run(scenario) == ([], ["h2"], ["h2", "h1"])


@pytest.mark.parametrize("before_it_came", [False, True])
def test_a_call_that_gave_up_waiting_takes_no_place(before_it_came):
    async def scenario():
        keeper = Keeper(None, 1)
        await keeper.occupy("h", 0)
        if before_it_came:
            await keeper.leave("h", 1)
        given_up = asyncio.ensure_future(keeper.occupy("h", 1))
        await asyncio.sleep(0)
        if not before_it_came:
            await keeper.leave("h", 1)
        await given_up
        await keeper.leave("h", 0)
        # One place is free again, and only one.
        await asyncio.wait_for(keeper.occupy("h", 2), 1)
        late = asyncio.ensure_future(keeper.occupy("h", 3))
        await asyncio.sleep(0.01)
        full = not late.done()
        late.cancel()
        return full

    assert run(scenario)


@pytest.mark.parametrize("again", [True, False], ids=["task starts again", "silence"])
def test_the_places_of_a_lost_worker_are_free_again(again, monkeypatch):
    monkeypatch.setattr(shared_limits, "_LOST_S", 0.2)
    monkeypatch.setattr(shared_limits, "_POLL_S", 0.05)

    async def scenario():
        keeper = Keeper(None, 1)
        await keeper.start("t", "lost")
        await keeper.occupy("lost", 0)
        waiting = asyncio.ensure_future(keeper.occupy("other", 0))
        await asyncio.sleep(0.05)
        held = not waiting.done()
        if again:
            await keeper.start("t", "again")
        else:
            while not waiting.done():
                assert await keeper.stopped("other") is None
        await asyncio.wait_for(waiting, 5)
        return held

    assert run(scenario)


def test_all_hear_of_the_first_stop():
    async def scenario():
        keeper = Keeper(None, 1)
        waiting = [asyncio.ensure_future(keeper.stopped(holder)) for holder in ("h1", "h2")]
        await keeper.stop(LLMUnavailableError("first"))
        await keeper.stop(LLMUnavailableError("second"))
        return [str(error) for error in [*await asyncio.gather(*waiting), await keeper.stopped("late")]]

    assert run(scenario) == ["first"] * 3


def test_who_waits_for_the_others_waits_until_they_have_ended():
    async def scenario():
        keeper = Keeper(None, 1)
        await keeper.begin("h")
        waiting = asyncio.ensure_future(keeper.others_ended(5))
        await asyncio.sleep(0.1)
        waited = not waiting.done()
        await keeper.end("h")
        await asyncio.wait_for(waiting, 1)
        await keeper.begin("hangs")
        await asyncio.wait_for(keeper.others_ended(0.1), 1)
        return waited

    assert run(scenario)


def test_a_local_model_without_a_budget_shares_nothing(ray_cluster):
    local = LLMSettings(is_hf_model=True, api_or_hf_model="a/b")
    assert not share_limits([build_engine(local)]).keepers
    limited = LLMSettings(is_hf_model=True, api_or_hf_model="a/b", max_total_tokens=9)
    assert [number for number, _ in share_limits([build_engine(local), build_engine(limited)]).keepers] == [1]


def test_a_task_that_fails_stops_the_others_and_waits_for_them(ray_cluster):
    settings = LLMSettings(model_params={"base_url": "http://127.0.0.1:9/v1"})
    failing, other = build_engine(settings), build_engine(settings)
    place = share_limits([failing])
    other_began, order = threading.Event(), []

    def work():
        with stopping_together(place, [other]):
            other_began.set()
            error = asyncio.run(other.shared.stopped())
            time.sleep(0.3)
            order.append(f"other: {error}")

    for engine in (failing, other):
        use_shared_limits(place, [engine])
    thread = threading.Thread(target=work)
    thread.start()
    assert other_began.wait(30)
    with pytest.raises(LLMUnavailableError, match="no credit"), stopping_together(place, [failing]):
        raise LLMUnavailableError("no credit")
    order.append("failing")
    thread.join()
    assert order == ["other: no credit", "failing"]
