"""How many calls are in flight, and what a refusal changes; time is a number."""

from __future__ import annotations

import asyncio
from contextlib import asynccontextmanager

import pytest

from mergeit_ops.llm.concurrency import ConcurrencyLimit
from tests.llm.virtual_time import VirtualLoop


def run(scenario):
    """Run a coroutine function that takes the loop, in virtual time."""
    loop = VirtualLoop()
    try:
        return loop.run_until_complete(scenario(loop))
    finally:
        loop.close()


def limit_of(calls: int, loop: VirtualLoop) -> ConcurrencyLimit:
    return ConcurrencyLimit(calls, clock=loop.time)


@pytest.mark.parametrize("limit", [1, 3])
def test_no_more_calls_than_allowed_are_in_flight_and_all_are_made_in_order(limit):
    async def scenario(loop):
        places, flying, most, order = limit_of(limit, loop), 0, 0, []

        async def call(ticket):
            nonlocal flying, most
            async with places.place(ticket):
                order.append(ticket)
                flying += 1
                most = max(most, flying)
                await asyncio.sleep(1)
                flying -= 1

        await asyncio.gather(*(call(places.ticket()) for _ in range(7)))
        return most, order, loop.time()

    most, order, took = run(scenario)
    assert most == limit
    assert order == list(range(7))
    assert took == pytest.approx(-(-7 // limit))


def test_a_pause_holds_back_every_call_and_a_shorter_one_does_not_end_it():
    async def scenario(loop):
        places = limit_of(4, loop)
        places.slow_down(10)
        places.slow_down(2)
        async with places.place(places.ticket()):
            return loop.time()

    assert 10 <= run(scenario) <= 10.5


def test_refusals_of_one_pause_take_at_most_half_and_good_answers_give_it_back():
    async def scenario(loop):
        places = limit_of(8, loop)
        for _ in range(20):
            places.slow_down(1)
        lowest = places.limit
        loop.now += 5
        places.slow_down(1)
        next_pause = places.limit
        for _ in range(200):
            places.speed_up()
        return lowest, next_pause, places.limit

    assert run(scenario) == (4, 3, 8)


def test_the_bound_never_falls_below_one_call():
    async def scenario(loop):
        places = limit_of(2, loop)
        for _ in range(10):
            places.slow_down(1)
            loop.now += 5
        async with places.place(places.ticket()):
            return places.limit

    assert run(scenario) == 1


def test_a_call_that_is_given_up_while_it_waits_holds_up_nobody():
    async def scenario(loop):
        places = limit_of(1, loop)
        done = []

        async def call(ticket):
            async with places.place(ticket):
                await asyncio.sleep(1)
                done.append(ticket)

        tasks = [asyncio.create_task(call(places.ticket())) for _ in range(4)]
        await asyncio.sleep(0.5)
        tasks[1].cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        return done

    assert run(scenario) == [0, 2, 3]


def test_after_two_refusals_in_a_row_a_call_goes_first_that_has_not_been_refused():
    async def scenario(loop):
        places, order = limit_of(1, loop), []
        first, second = places.ticket(), places.ticket()
        places.slow_down(1, refused=first)
        places.slow_down(1, refused=first)

        async def call(ticket):
            async with places.place(ticket):
                order.append(ticket)

        await asyncio.gather(call(first), call(second))
        return order

    assert run(scenario) == [1, 0]


def test_a_call_that_waited_among_others_when_a_pause_began_waits_for_its_end_without_a_place():
    async def scenario(loop):
        held, others = 0, asyncio.Semaphore(1)

        @asynccontextmanager
        async def shared():
            nonlocal held
            async with others:
                held += 1
                yield
                held -= 1

        places = ConcurrencyLimit(2, clock=loop.time, sleep=asyncio.sleep, shared=shared)
        await others.acquire()

        async def call():
            async with places.place(places.ticket()):
                return loop.time()

        calling = asyncio.ensure_future(call())
        await asyncio.sleep(1)
        places.slow_down(10)
        others.release()
        await asyncio.sleep(1)
        in_the_pause = held
        return in_the_pause, await calling, held

    in_the_pause, began, after = run(scenario)
    assert (in_the_pause, after) == (0, 0)
    assert 11 <= began < 12
