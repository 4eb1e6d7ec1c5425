"""The limits of all tasks of an operator, as the actor keeps them; most tests need no cluster."""

from __future__ import annotations

import asyncio
import threading
import time
from collections import Counter

import pytest
import ray

from mergeit_ops.distributed import holders, shared_limits
from mergeit_ops.distributed.shared_limits import (
    ClusterLimits,
    _Limits,
    _Places,
    share_limits,
    stopping_together,
    use_shared_limits,
)
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.settings import LLMSettings


def run(scenario):
    return asyncio.run(scenario())


def test_tasks_share_the_tokens():
    async def scenario():
        keeper = _Limits(100, None)
        await keeper.start("t1", "h1")
        await keeper.start("t2", "h2")
        granted = [await keeper.reserve("h1", 60), await keeper.reserve("h2", 40)]
        await keeper.settle("h1", 60, 10)
        granted.append(await keeper.reserve("h2", 50))
        return granted, await keeper.overdrawn()

    granted, overdrawn = run(scenario)
    assert granted == [60, 40, 50]
    assert not overdrawn


def test_what_is_spent_is_not_granted_again():
    async def scenario():
        keeper = _Limits(100, None)
        await keeper.start("t", "h")
        assert await keeper.reserve("h", 90)
        await keeper.settle("h", 90, 90)
        return await keeper.reserve("h", 20)

    assert run(scenario) == 0


@pytest.mark.parametrize(("left", "fits"), [(40, True), (41, False)])
def test_the_reserve_of_a_lost_worker_counts_as_spent(left, fits):
    async def scenario():
        keeper = _Limits(100, None)
        await keeper.start("t", "lost")
        await keeper.reserve("lost", 60)
        await keeper.start("t", "again")
        # Its answer comes after all: the tokens are spent already.
        await keeper.settle("lost", 60, 5)
        return await keeper.reserve("again", left)

    assert run(scenario) == (left if fits else 0)


def test_no_more_calls_have_a_place_than_there_are_and_those_that_waited_come_in_order():
    async def scenario():
        keeper = _Limits(None, 2)
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
        keeper = _Limits(None, 1)
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
    monkeypatch.setattr(holders, "LOST_S", 0.2)
    monkeypatch.setattr(shared_limits, "POLL_S", 0.05)

    async def scenario():
        keeper = _Limits(None, 1)
        await keeper.start("t", "lost")
        await keeper.occupy("lost", 0)
        waiting = asyncio.ensure_future(keeper.occupy("other", 0))
        await asyncio.sleep(0.05)
        held = not waiting.done()
        if again:
            await keeper.start("t", "again")
        else:
            while not waiting.done():
                assert await keeper.news("other") == (None, False)
        await asyncio.wait_for(waiting, 5)
        return held

    assert run(scenario)


def test_all_hear_of_the_first_stop():
    async def scenario():
        keeper = _Limits(None, 1)
        waiting = [asyncio.ensure_future(keeper.news(holder)) for holder in ("h1", "h2")]
        await asyncio.sleep(0)
        await keeper.stop(LLMUnavailableError("first"))
        await keeper.stop(LLMUnavailableError("second"))
        return [str(error) for error, _ in [*await asyncio.gather(*waiting), await keeper.news("late")]]

    assert run(scenario) == ["first"] * 3


def test_after_a_stop_no_call_gets_a_place():
    async def scenario():
        keeper = _Limits(None, 1)
        await keeper.occupy("h1", 0)
        waiting = asyncio.ensure_future(keeper.occupy("h2", 0))
        await asyncio.sleep(0)
        await keeper.stop(LLMUnavailableError("no credit"))
        return str(await waiting), str(await keeper.occupy("h3", 0))

    assert run(scenario) == ("no credit", "no credit")


def test_tokens_that_a_worker_waited_for_when_it_died_go_to_others():
    async def scenario():
        keeper = _Limits(100, None)
        await keeper.start("t", "lost")
        await keeper.start("u", "other")
        assert await keeper.reserve("other", 60)
        assert await keeper.reserve("lost", 5)
        waited = asyncio.ensure_future(keeper.reserve("lost", 85))
        await asyncio.sleep(0)
        # Ray runs the task again, and a late message of the dead worker arrives after that.
        await keeper.start("t", "again")
        await keeper.settle("lost", 5, 5)
        await keeper.settle("other", 60, 10)
        return await waited, await asyncio.wait_for(keeper.reserve("again", 85), 1)

    assert run(scenario) == (0, 85)


def test_tokens_of_a_worker_that_keeps_silent_are_spent_while_others_wait(monkeypatch):
    monkeypatch.setattr(holders, "LOST_S", 0.2)
    monkeypatch.setattr(shared_limits, "POLL_S", 0.05)

    async def scenario():
        keeper = _Limits(100, None)
        await keeper.reserve("silent", 60)
        waiting = asyncio.ensure_future(keeper.reserve("other", 41))
        while not waiting.done():
            assert (await keeper.news("other"))[0] is None
        refused = await waiting
        # The silent one was only slow: what it used is spent already.
        await keeper.settle("silent", 60, 5)
        return refused, await keeper.reserve("other", 41), await keeper.reserve("other", 40)

    assert run(scenario) == (0, 0, 40)


def test_who_waits_for_the_others_waits_until_they_have_ended():
    async def scenario():
        keeper = _Limits(None, 1)
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


def test_operators_that_run_at_the_same_time_stop_together(ray_cluster):
    settings = LLMSettings(model_params={"base_url": "http://127.0.0.1:9/v1"})
    engines = [build_engine(settings) for _ in range(4)]
    failing, other = share_limits(engines[:2], "run"), share_limits(engines[2:3], "run")
    elsewhere = share_limits(engines[3:], "another run")
    use_shared_limits(failing, engines[:2])
    use_shared_limits(other, engines[2:3])
    began, ended = threading.Event(), []

    def work():
        with stopping_together(other, engines[2:3]):
            began.set()
            ended.append(asyncio.run(engines[2].shared.stopped()))

    thread = threading.Thread(target=work)
    thread.start()
    assert began.wait(30)
    with pytest.raises(LLMUnavailableError, match="no credit"), stopping_together(failing, engines[:2]):
        raise LLMUnavailableError("no credit")
    # It waited until the other one had accounted for what it paid.
    assert [str(error) for error in ended] == ["Another operator has had to stop: no credit"]
    thread.join()

    (first, _), (second, _) = asyncio.run(news_of(failing))
    assert str(first) == str(second) == "no credit"
    ((nothing, _),) = asyncio.run(news_of(elsewhere))
    assert nothing is None


async def news_of(place):
    return [await keeper.ask("news", "h") for _, keeper in place.keepers]


def test_a_stage_that_ends_gives_its_unused_tokens_back(ray_cluster):
    settings = LLMSettings(model_params={"base_url": "http://127.0.0.1:9/v1"}, max_total_tokens=1_000)
    ((_, keeper),) = share_limits([build_engine(settings)]).keepers

    async def scenario():
        ended, other = ClusterLimits(keeper, "t1", True), ClusterLimits(keeper, "t2", True)
        stops = asyncio.ensure_future(ended.stopped())
        assert await ended.reserve(50)
        ended.settle(50, 50)
        stops.cancel()
        await asyncio.gather(stops, return_exceptions=True)
        assert await asyncio.wait_for(other.reserve(950), 30)
        other.settle(950, 0)
        assert not await other.reserve(951)

    asyncio.run(scenario())


class _Counting:
    """Limits in this process, asked like those in an actor; counts the calls."""

    def __init__(self, limits):
        self._limits = limits
        self.calls = Counter()

    def ask(self, method, *arguments):
        self.calls[method] += 1
        return asyncio.ensure_future(getattr(self._limits, method)(*arguments))


@pytest.mark.parametrize("lease_s", [0.0, 60.0])
def test_a_process_passes_its_places_on_and_gives_all_back(lease_s, monkeypatch):
    monkeypatch.setattr(shared_limits, "_LEASE_S", lease_s)

    async def scenario():
        keeper = _Limits(None, 3)
        remote = _Counting(keeper)
        places = _Places(remote, "h")
        flying, most = 0, 0

        async def call(number):
            nonlocal flying, most
            place = await places.take()
            flying += 1
            most = max(most, flying)
            await asyncio.sleep(0.001)
            flying -= 1
            places.give_back(place)

        await asyncio.gather(*map(call, range(200)))
        await asyncio.sleep(0.05)
        return most, len(keeper._occupied), len(keeper._waiting), remote.calls["occupy"]

    most, occupied, waiting, asked = run(scenario)
    assert (most, occupied, waiting) == (3, 0, 0)
    assert asked >= 200 if lease_s == 0 else asked == 200


def test_calls_after_each_other_do_not_ask_again_while_the_lease_lasts():
    async def scenario():
        keeper = _Limits(None, 2)
        remote = _Counting(keeper)
        places = _Places(remote, "h")

        async def worker():
            for _ in range(100):
                place = await places.take()
                await asyncio.sleep(0)
                places.give_back(place)

        await asyncio.gather(*(worker() for _ in range(8)))
        await asyncio.sleep(0.05)
        return remote.calls["occupy"], len(keeper._occupied)

    asked, occupied = run(scenario)
    assert asked < 200
    assert occupied == 0


def test_others_have_their_turn_when_the_lease_is_over(monkeypatch):
    monkeypatch.setattr(shared_limits, "_LEASE_S", 0.05)

    async def scenario():
        keeper = _Limits(None, 1)
        first, second = _Places(_Counting(keeper), "h1"), _Places(_Counting(keeper), "h2")
        served = []

        async def worker(places, name):
            for _ in range(40):
                place = await places.take()
                served.append(name)
                await asyncio.sleep(0.005)
                places.give_back(place)

        await asyncio.gather(*(worker(first, "h1") for _ in range(2)), *(worker(second, "h2") for _ in range(2)))
        return served

    served = run(scenario)
    assert served.count("h1") == served.count("h2") == 80
    # Neither waits until the other has done everything.
    assert "h2" in served[:60]
    assert "h1" in served[:60]


def test_a_call_that_is_cancelled_leaves_its_place_to_others():
    async def scenario():
        keeper = _Limits(None, 1)
        places = _Places(_Counting(keeper), "h")
        held = await places.take()
        waiting = [asyncio.ensure_future(places.take()) for _ in range(3)]
        await asyncio.sleep(0.01)
        waiting[0].cancel()
        places.give_back(held)
        # It has got the place at the moment of its cancellation.
        waiting[1].cancel()
        place = await asyncio.wait_for(waiting[2], 1)
        places.give_back(place)
        await asyncio.sleep(0.01)
        return len(keeper._occupied)

    assert run(scenario) == 0


def test_a_keeper_that_has_died_is_said_in_a_sentence(ray_cluster):
    settings = LLMSettings(model_params={"base_url": "http://127.0.0.1:9/v1"}, max_total_tokens=9)
    engine = build_engine(settings)
    place = share_limits([engine])
    use_shared_limits(place, [engine])
    ray.kill(place.keepers[0][1].actor)
    with pytest.raises(LLMUnavailableError, match=r"holds max_concurrency .* has died .*Run the recipe again"):
        asyncio.run(engine.shared.reserve(1))
