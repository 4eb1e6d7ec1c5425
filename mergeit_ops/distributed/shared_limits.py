"""The limits of all tasks that ask a server for one operator: an actor holds the budget, the places and the stop.

So `max_total_tokens` and `max_concurrency` apply to the whole run, for any division of the rows into blocks, and a
server that fails one task gets no further requests from the others.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.util.scheduling_strategies import NodeAffinitySchedulingStrategy

from mergeit_ops.errors import LLMError
from mergeit_ops.llm.engine import LLMEngine
from mergeit_ops.llm.usage import TokenBudget

__all__ = ["LimitsPlace", "share_limits", "stop_all", "stopping_together", "use_shared_limits"]

_WAITING = 1_000_000
"""Calls that may wait for tokens or a place at the same time. With more, none could give its own back."""

_POLL_S = 5.0
"""Seconds after which a stage asks again whether it has to stop; so the actor knows that its process lives."""

_LOST_S = 60.0
"""Seconds without a word after which the places of a process are free again. Lost workers give none back."""

_END_S = 40.0
"""Most seconds to wait for other tasks to stop: the time that a stage waits for answers in flight, and a little more.
"""


@ray.remote(num_cpus=0, max_concurrency=_WAITING)
class _LimitsKeeper:
    """Holds the limits of one engine. A holder is an engine of one task in one process.

    :param tokens: token budget; None: no limit.
    :param places: most calls in flight; None: no limit.
    """

    def __init__(self, tokens: int | None, places: int | None) -> None:
        self._budget = TokenBudget(tokens)
        self._reserved: Counter[str] = Counter()
        self._holder_of: dict[str, str] = {}
        self._places = places
        self._occupied: set[tuple[str, int]] = set()
        self._waiting: dict[tuple[str, int], asyncio.Future[None]] = {}
        self._left: set[tuple[str, int]] = set()
        self._heard: dict[str, float] = {}
        self._at_work: set[str] = set()
        self._stop = asyncio.Event()
        self._error: LLMError | None = None

    async def start(self, task: str, holder: str) -> None:
        """Register a task. If it starts again, its worker was lost: its reserve is spent, its places are free."""
        before = self._holder_of.get(task, "")
        lost = self._reserved.pop(before, 0)
        self._budget.settle(lost, lost)
        self._forget(before)
        self._holder_of[task] = holder
        self._grant()

    async def reserve(self, holder: str, tokens: int) -> bool:
        fits = await self._budget.reserve(tokens)
        if fits:
            self._reserved[holder] += tokens
        return fits

    async def overdrawn(self) -> bool:
        return await self._budget.overdrawn()

    async def lose(self, tokens: int) -> None:
        self._budget.lose(tokens)

    async def settle(self, holder: str, reserved: int, used: int) -> None:
        if self._reserved[holder] < reserved:  # its task has started again: this is spent already
            return
        self._reserved[holder] -= reserved
        self._budget.settle(reserved, used)

    async def occupy(self, holder: str, call: int) -> None:
        self._heard[holder] = time.monotonic()
        if (holder, call) in self._left:  # it was given up before it came here
            self._left.discard((holder, call))
            return
        granted = asyncio.get_running_loop().create_future()
        self._waiting[holder, call] = granted
        self._grant()
        await granted

    async def leave(self, holder: str, call: int) -> None:
        self._heard[holder] = time.monotonic()
        waiting = self._waiting.pop((holder, call), None)
        if waiting is not None:
            waiting.set_result(None)
        elif (holder, call) in self._occupied:
            self._occupied.discard((holder, call))
        else:
            self._left.add((holder, call))
        self._grant()

    async def stopped(self, holder: str) -> LLMError | None:
        """Return the error that all have to stop with; None after some seconds without one."""
        self._heard[holder] = time.monotonic()
        self._grant()
        try:
            await asyncio.wait_for(self._stop.wait(), _POLL_S)
        except asyncio.TimeoutError:
            return None
        return self._error

    async def stop(self, error: LLMError) -> None:
        """Have all stages stop; the first error counts."""
        self._error = self._error or error
        self._stop.set()

    async def begin(self, holder: str) -> None:
        self._at_work.add(holder)

    async def end(self, holder: str) -> None:
        self._at_work.discard(holder)

    async def others_ended(self, within_s: float) -> None:
        """Return when no holder is at work, or after some seconds."""
        until = time.monotonic() + within_s
        while self._at_work and time.monotonic() < until:
            await asyncio.sleep(0.05)

    def _grant(self) -> None:
        if self._waiting and self._full():
            now = time.monotonic()
            for holder in {holder for holder, _ in self._occupied}:
                if now - self._heard[holder] > _LOST_S:
                    self._forget(holder)
        while self._waiting and not self._full():
            key = next(iter(self._waiting))
            self._occupied.add(key)
            self._waiting.pop(key).set_result(None)

    def _full(self) -> bool:
        return self._places is not None and len(self._occupied) >= self._places

    def _forget(self, holder: str) -> None:
        self._at_work.discard(holder)
        self._occupied = {key for key in self._occupied if key[0] != holder}
        for key in [key for key in self._waiting if key[0] == holder]:
            self._waiting.pop(key).set_result(None)


@dataclass(frozen=True)
class LimitsPlace:
    """Where the limits of an operator's engines are, for a task.

    :param keepers: an actor for each engine that has limits, by the engine's number.
    """

    keepers: tuple[tuple[int, Any], ...] = ()


class ClusterLimits:
    """A task's view of the limits; see `SharedLimits`.

    :param keeper: the actor that holds them.
    :param task: id of the task; it stays the same when Ray runs the task again.
    :param limited: whether there is a token budget.
    """

    def __init__(self, keeper: Any, task: str, limited: bool) -> None:
        self.task = task
        self.limited = limited
        self.keeper = keeper
        self.holder = uuid.uuid4().hex
        self._calls = itertools.count()
        ray.get(keeper.start.remote(task, self.holder))

    async def reserve(self, tokens: int) -> bool:
        """Set tokens aside; see `TokenBudget`."""
        return not self.limited or bool(await self.keeper.reserve.remote(self.holder, tokens))

    async def overdrawn(self) -> bool:
        """Return whether calls took more than their reserve."""
        return self.limited and bool(await self.keeper.overdrawn.remote())

    def lose(self, tokens: int) -> None:
        """Count tokens of a call without an answer."""
        if self.limited:
            self.keeper.lose.remote(tokens)

    def settle(self, reserved: int, used: int) -> None:
        """Replace a reserve with the tokens that the request used."""
        if self.limited:
            self.keeper.settle.remote(self.holder, reserved, used)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place among the calls of all tasks, and occupy it inside the context."""
        call = next(self._calls)
        try:
            await self.keeper.occupy.remote(self.holder, call)
            yield
        finally:
            self.keeper.leave.remote(self.holder, call)

    async def stopped(self) -> LLMError:
        """Wait until another task has had to stop; return its error."""
        while True:
            error: LLMError | None = await self.keeper.stopped.remote(self.holder)
            if error is not None:
                return error


def share_limits(engines: Sequence[LLMEngine]) -> LimitsPlace:
    """Start actors that hold the limits of some engines; called on the driver.

    :param engines: of one operator. A local model without a token budget shares nothing.
    :return: the limits for the tasks; the actors live as long as this object is referenced.
    """
    # On the machine of the driver: without it, the run ends anyway.
    here = NodeAffinitySchedulingStrategy(ray.get_runtime_context().get_node_id(), soft=False)
    keepers = []
    for number, engine in enumerate(engines):
        tokens = engine.settings.max_total_tokens
        places = engine.settings.max_concurrency if engine.asks_a_server else None
        if tokens is not None or places is not None:
            keeper = _LimitsKeeper.options(scheduling_strategy=here)  # type: ignore[attr-defined]
            keepers.append((number, keeper.remote(tokens, places)))
    return LimitsPlace(tuple(keepers))


def use_shared_limits(place: LimitsPlace, engines: Sequence[LLMEngine]) -> None:
    """Make the engines of a task keep to the shared limits.

    :param place: what `share_limits` returned on the driver.
    :param engines: of the operator as the task has it.
    """
    task = ray.get_runtime_context().get_task_id() or ""
    for number, keeper in place.keepers:
        known = engines[number].shared
        # If a task has several batches, the second continues with the limits of the first.
        if not isinstance(known, ClusterLimits) or known.task != task:
            limited = engines[number].settings.max_total_tokens is not None
            engines[number].shared = ClusterLimits(keeper, task, limited)


def stop_all(place: LimitsPlace, error: LLMError) -> None:
    """Have the stages of all tasks stop; returns when they have been told.

    :param place: what `share_limits` returned on the driver.
    :param error: what they stop with.
    """
    # Each task adds what it knows of answers.
    bare = type(error)(error.reason or str(error))
    ray.get([keeper.stop.remote(bare) for _, keeper in place.keepers])


@contextmanager
def stopping_together(place: LimitsPlace, engines: Sequence[LLMEngine]) -> Iterator[None]:
    """If the work inside the context has to stop, stop that of all other tasks, and wait until they have accounted.

    For tasks whose driver may end them as soon as one has failed.

    :param place: what `share_limits` returned on the driver.
    :param engines: of the operator as the task has it; they use the limits.
    """
    mine = [limits for engine in engines if isinstance(limits := engine.shared, ClusterLimits)]
    for limits in mine:
        limits.keeper.begin.remote(limits.holder)
    failed = False
    try:
        yield
    except LLMError as error:
        failed = True
        stop_all(place, error)
        raise
    finally:
        ray.get([limits.keeper.end.remote(limits.holder) for limits in mine])
        if failed:
            ray.get([keeper.others_ended.remote(_END_S) for _, keeper in place.keepers])
