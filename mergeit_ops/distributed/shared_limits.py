"""The limits that all tasks of one operator share. An actor holds the token budget, the places and the stop signal.

So `max_total_tokens` and `max_concurrency` apply to the whole run, no matter how its rows are divided into blocks. If
one task has to stop because of the server, the others send no more requests.
"""

from __future__ import annotations

import asyncio
import itertools
import time
import uuid
from collections import Counter, deque
from collections.abc import AsyncIterator, Iterator, Sequence
from contextlib import asynccontextmanager, contextmanager
from dataclasses import dataclass
from typing import Any

import ray
from ray.exceptions import RayError

from mergeit_ops.distributed.holders import POLL_S, Holders
from mergeit_ops.distributed.kept_actors import MANY_CALLS, kept_actor
from mergeit_ops.distributed.token_lease import TokenLease
from mergeit_ops.errors import LLMError, LLMUnavailableError
from mergeit_ops.llm.engine import LLMEngine
from mergeit_ops.llm.usage import TokenBudget

__all__ = ["Keeper", "LimitsPlace", "share_limits", "stop_all", "stopping_together", "use_shared_limits"]

_NAME = "mergeit_ops limits"

_LEASE_S = 1.0
"""Seconds for which a process passes a place from call to call, before other processes can get it."""

_SHARE = 8
"""For calls to come, a process gets at most an eighth of the tokens that are left. They count as spent if it dies."""

_END_S = 40.0
"""Most seconds to wait for other tasks to stop: the time that a stage waits for answers in flight, and a little more.
"""


class _Limits:
    """The limits of one engine, inside the actor. A holder is an engine of one task in one process.

    :param tokens: token budget; None: no limit.
    :param places: most calls in flight; None: no limit.
    """

    def __init__(self, tokens: int | None, places: int | None) -> None:
        self._budget = TokenBudget(tokens)
        self._reserved: Counter[str] = Counter()
        self._written_off: Counter[str] = Counter()
        self._short = 0
        self._lent_ahead = False
        self._holders = Holders()
        self._places = places
        self._occupied: set[tuple[str, int]] = set()
        self._waiting: dict[tuple[str, int], asyncio.Future[None]] = {}
        self._left: set[tuple[str, int]] = set()
        self._at_work: set[str] = set()
        self._news: asyncio.Future[None] = asyncio.get_running_loop().create_future()
        self._error: LLMError | None = None

    async def start(self, task: str, holder: str) -> None:
        """Register a task. If it starts again, its worker was lost. Its reserve is spent, and its places are free."""
        replaced = self._holders.start(task, holder)
        if replaced is not None:
            self._forget(replaced)
        self._grant()

    async def reserve(self, holder: str, tokens: int, ahead: int = 0) -> int:
        """Reserve tokens for a call, and more for calls to come if there are many; return their number, 0 if the call
        must not be made."""
        self._holders.hear(holder)
        fits = self._budget.reserve_now(tokens)
        if fits is None:
            self._short += 1
            self._recall()
            fits = await self._budget.reserve(tokens)
            self._short -= 1
        if fits and self._holders.lost(holder):  # nobody is there to use them
            self._budget.settle(tokens, 0)
            return 0
        if not fits:
            return 0
        more = 0 if self._short else min(ahead, (self._budget.left or 0) // _SHARE)
        if more >= tokens:
            self._budget.reserve_now(more)
            self._lent_ahead = True
            tokens += more
        self._reserved[holder] += tokens
        return tokens

    async def overdrawn(self) -> bool:
        return await self._budget.overdrawn()

    async def settle(self, holder: str, reserved: int, used: int) -> None:
        self._holders.hear(holder)
        # If it counted as lost, this is spent already.
        spent = min(reserved, self._written_off[holder])
        self._written_off[holder] -= spent
        self._reserved[holder] -= reserved - spent
        self._budget.settle(reserved - spent, max(0, used - spent))
        if await self._budget.overdrawn():
            self._recall()

    async def occupy(self, holder: str, call: int) -> LLMError | None:
        """Wait for a place. Return an error if all have to stop, and otherwise None."""
        self._holders.hear(holder)
        if self._error is not None:
            return self._error
        if (holder, call) in self._left:  # the call was cancelled before its request came here
            self._left.discard((holder, call))
            return None
        granted = asyncio.get_running_loop().create_future()
        self._waiting[holder, call] = granted
        self._grant()
        await granted
        return self._error

    async def leave(self, holder: str, call: int) -> None:
        self._holders.hear(holder)
        waiting = self._waiting.pop((holder, call), None)
        if waiting is not None:
            waiting.set_result(None)
        elif (holder, call) in self._occupied:
            self._occupied.discard((holder, call))
        elif self._error is None:
            self._left.add((holder, call))
        self._grant()

    async def news(self, holder: str) -> tuple[LLMError | None, bool]:
        """Wait some seconds for news. Return the error with which all have to stop, and whether tokens are scarce."""
        self._holders.hear(holder)
        self._forget_the_silent()
        self._grant()
        if self._error is None:
            await asyncio.wait([self._news], timeout=POLL_S)
        return self._error, self._short > 0 or await self._budget.overdrawn()

    async def stop(self, error: LLMError) -> None:
        """Have all stages stop; the first error counts."""
        self._error = self._error or error
        self._tell()
        for waiting in self._waiting.values():
            waiting.set_result(None)
        self._waiting.clear()

    async def begin(self, holder: str) -> None:
        self._at_work.add(holder)

    async def end(self, holder: str) -> None:
        self._at_work.discard(holder)

    async def others_ended(self, within_s: float) -> None:
        """Wait until no holder is at work, or until the seconds are over."""
        until = time.monotonic() + within_s
        while self._at_work and time.monotonic() < until:
            await asyncio.sleep(0.05)

    def _tell(self) -> None:
        self._news.set_result(None)
        self._news = asyncio.get_running_loop().create_future()

    def _recall(self) -> None:
        if self._lent_ahead:
            self._lent_ahead = False
            self._tell()

    def _forget_the_silent(self) -> None:
        holding = {holder for holder, _ in self._occupied} | {name for name, held in self._reserved.items() if held}
        for holder in holding:
            if self._holders.lost(holder):
                self._forget(holder)

    def _grant(self) -> None:
        while self._waiting and not self._full():
            key = next(iter(self._waiting))
            self._occupied.add(key)
            self._waiting.pop(key).set_result(None)

    def _full(self) -> bool:
        return self._places is not None and len(self._occupied) >= self._places

    def _forget(self, holder: str) -> None:
        spent = self._reserved.pop(holder, 0)
        self._written_off[holder] += spent
        self._budget.settle(spent, spent)
        self._at_work.discard(holder)
        self._occupied = {key for key in self._occupied if key[0] != holder}
        for key in [key for key in self._waiting if key[0] == holder]:
            self._waiting.pop(key).set_result(None)


@ray.remote(num_cpus=0, max_concurrency=MANY_CALLS)
class _LimitsKeeper:
    """Holds the limits of all engines of a driver, because a process for each would take seconds to start."""

    def __init__(self) -> None:
        self._limits: dict[str, _Limits] = {}
        self._runs: dict[str, str | None] = {}

    async def open(self, key: str, tokens: int | None, places: int | None, run: str | None) -> None:
        self._limits[key] = _Limits(tokens, places)
        self._runs[key] = run

    async def stop(self, keys: Sequence[str], error: LLMError) -> None:
        """Have the stages of an operator stop, and those of other operators that run at the same time."""
        for_others = LLMError(f"Another operator has had to stop: {error}")
        for key in self._together(keys):
            await self._limits[key].stop(error if key in keys else for_others)

    async def all_ended(self, keys: Sequence[str], within_s: float) -> None:
        await asyncio.gather(*(self._limits[key].others_ended(within_s) for key in self._together(keys)))

    def _together(self, keys: Sequence[str]) -> list[str]:
        runs = {self._runs[key] for key in keys} - {None}
        return [key for key, run in self._runs.items() if key in keys or run in runs]

    async def call(self, key: str, method: str, *arguments: Any) -> Any:
        return await getattr(self._limits[key], method)(*arguments)


@dataclass(frozen=True)
class Keeper:
    """The limits of one engine, seen from outside the actor.

    :param actor: the actor.
    :param key: name of the limits in it.
    """

    actor: Any
    key: str

    def ask(self, method: str, *arguments: Any) -> Any:
        """Call a method of the limits; return the reference to its result.

        :param method: name of the method.
        :param arguments: arguments of the method.
        """
        return self.actor.call.remote(self.key, method, *arguments)


@dataclass(frozen=True)
class LimitsPlace:
    """Where the limits of an operator's engines are, for a task.

    :param keepers: the limits of each engine that has some, by the engine's number.
    """

    keepers: tuple[tuple[int, Keeper], ...] = ()

    def ask_keeper(self, method: str, *arguments: Any) -> None:
        """Call a method of the actor with the names of all these limits, and wait for its end.

        :param method: name of the method.
        :param arguments: further arguments of the method.
        """
        if self.keepers:
            actor = self.keepers[0][1].actor
            ray.get(getattr(actor, method).remote([keeper.key for _, keeper in self.keepers], *arguments))


class ClusterLimits:
    """A task's view of the limits; see `SharedLimits`.

    :param keeper: the limits in the actor.
    :param task: id of the task; it stays the same when Ray runs the task again.
    :param limited: whether there is a token budget.
    """

    def __init__(self, keeper: Keeper, task: str, limited: bool) -> None:
        self.task = task
        self.limited = limited
        self.keeper = keeper
        self.holder = uuid.uuid4().hex
        self._places = _Places(keeper, self.holder)
        self._tokens = TokenLease(
            lambda tokens, ahead: _answer(keeper.ask("reserve", self.holder, tokens, ahead)),
            lambda reserved, used: keeper.ask("settle", self.holder, reserved, used),
            lambda: _answer(keeper.ask("overdrawn")),
        )
        ray.get(keeper.ask("start", task, self.holder))

    async def reserve(self, tokens: int) -> bool:
        """Set tokens aside; see `TokenBudget`."""
        return not self.limited or await self._tokens.reserve(tokens)

    async def overdrawn(self) -> bool:
        """Return whether calls took more than their reserve."""
        return self.limited and await self._tokens.overdrawn()

    def lose(self, tokens: int) -> None:
        """Count tokens of a call without an answer."""
        if self.limited:
            self._tokens.lose(tokens)

    def settle(self, reserved: int, used: int) -> None:
        """Replace a reserve with the tokens that the request used."""
        if self.limited:
            self._tokens.settle(reserved, used)

    @asynccontextmanager
    async def place(self) -> AsyncIterator[None]:
        """Wait for a place among the calls of all tasks, and occupy it inside the context.

        :raises LLMError: if another task has had to stop.
        """
        place = await self._places.take()
        try:
            yield
        finally:
            self._places.give_back(place)

    async def stopped(self) -> LLMError:
        """Wait until another task has had to stop; return its error. Meanwhile, give tokens back if others need them.

        When it is cancelled, because the stage has ended, all unused tokens are given back.
        """
        error: LLMError | None = None
        try:
            while error is None:
                error, scarce = await _answer(self.keeper.ask("news", self.holder))
                if scarce:
                    self._tokens.give_back()
        finally:
            self._tokens.give_back()
        return error


async def _answer(reference: Any) -> Any:
    try:
        return await reference
    except RayError as error:
        lost = type(error).__name__
    raise LLMUnavailableError(
        f"The process on the driver's machine that holds max_concurrency and max_total_tokens of this run has died "
        f"({lost}), perhaps for lack of memory. Run the recipe again."
    )


@dataclass(frozen=True)
class _Place:
    """A place among the calls of all tasks.

    :param number: identifies the place in this process.
    :param since: when the process got it, in monotonic seconds.
    """

    number: int
    since: float


class _Places:
    """The places of a process. It passes a place from call to call for a while, because asking the actor for each call
    would limit the calls of the whole cluster to a few hundred a second.

    :param keeper: the limits in the actor, with the places of all processes.
    :param holder: name of this process.
    """

    def __init__(self, keeper: Keeper, holder: str) -> None:
        self._keeper = keeper
        self._holder = holder
        self._numbers = itertools.count()
        self._waiting: deque[asyncio.Future[_Place]] = deque()
        self._asking: set[asyncio.Task[None]] = set()

    async def take(self) -> _Place:
        """Wait for a place."""
        waiting: asyncio.Future[_Place] = asyncio.get_running_loop().create_future()
        self._waiting.append(waiting)
        self._ask_for_all()
        try:
            return await waiting
        except asyncio.CancelledError:
            if waiting.done() and not waiting.cancelled() and waiting.exception() is None:
                self._pass_on(waiting.result())
            raise

    def give_back(self, place: _Place) -> None:
        """Pass a place on to another call of this process, or to another process."""
        if time.monotonic() - place.since < _LEASE_S:
            self._pass_on(place)
            return
        self._keeper.ask("leave", self._holder, place.number)
        self._ask_for_all()

    def _pass_on(self, place: _Place) -> None:
        waiting = self._next()
        if waiting is None:
            self._keeper.ask("leave", self._holder, place.number)
        else:
            waiting.set_result(place)

    def _next(self) -> asyncio.Future[_Place] | None:
        while self._waiting:
            waiting = self._waiting.popleft()
            if not waiting.done():
                return waiting
        return None

    def _ask_for_all(self) -> None:
        # A place that was passed on leaves a request behind, which serves the next call.
        self._asking = {task for task in self._asking if not task.done()}
        for _ in range(sum(not waiting.done() for waiting in self._waiting) - len(self._asking)):
            self._asking.add(asyncio.ensure_future(self._ask(next(self._numbers))))

    async def _ask(self, number: int) -> None:
        try:
            refused = await _answer(self._keeper.ask("occupy", self._holder, number))
        except asyncio.CancelledError:
            # The stage has ended.
            self._keeper.ask("leave", self._holder, number)
            raise
        except Exception as error:
            # A waiting call must get every error.
            refused = error
        if refused is None:
            self._pass_on(_Place(number, time.monotonic()))
        elif (waiting := self._next()) is not None:
            waiting.set_exception(refused)


def share_limits(engines: Sequence[LLMEngine], run: str | None = None) -> LimitsPlace:
    """Create the limits of some engines, on the driver.

    :param engines: engines of one operator. A local model without a token budget has no shared limits.
    :param run: name of the run, for operators that Ray runs at the same time. If one of them has to stop, the others
        stop too. None: the operator runs alone.
    :return: the limits for the tasks.
    """
    keepers = []
    for number, engine in enumerate(engines):
        tokens = engine.settings.max_total_tokens
        places = engine.settings.max_concurrency if engine.asks_a_server else None
        if tokens is not None or places is not None:
            keeper = Keeper(kept_actor(_NAME, _LimitsKeeper), uuid.uuid4().hex)
            ray.get(keeper.actor.open.remote(keeper.key, tokens, places, run))
            keepers.append((number, keeper))
    return LimitsPlace(tuple(keepers))


def use_shared_limits(place: LimitsPlace, engines: Sequence[LLMEngine]) -> None:
    """Make the engines of a task keep to the shared limits.

    :param place: what `share_limits` returned on the driver.
    :param engines: engines of the task's copy of the operator.
    """
    task = ray.get_runtime_context().get_task_id() or ""
    for number, keeper in place.keepers:
        known = engines[number].shared
        # If a task has several batches, the second continues with the limits of the first.
        if not isinstance(known, ClusterLimits) or known.task != task:
            limited = engines[number].settings.max_total_tokens is not None
            engines[number].shared = ClusterLimits(keeper, task, limited)


def stop_all(place: LimitsPlace, error: Exception) -> None:
    """Make the stages of all tasks stop. Return when the actor has the request.

    :param place: what `share_limits` returned on the driver.
    :param error: the reason.
    """
    # Only the reason, because each task adds a sentence about its own answers.
    if isinstance(error, LLMError):
        bare = type(error)(error.reason or str(error))
    else:
        bare = LLMError(f"Another task has failed: {error}")
    place.ask_keeper("stop", bare)


@contextmanager
def stopping_together(place: LimitsPlace, engines: Sequence[LLMEngine]) -> Iterator[None]:
    """If the work inside the context fails, stop all other tasks, and wait until they have reported their costs.

    This is for tasks that the driver may end as soon as one of them has failed.

    :param place: what `share_limits` returned on the driver.
    :param engines: engines of the task's copy of the operator, which use the limits.
    """
    mine = [limits for engine in engines if isinstance(limits := engine.shared, ClusterLimits)]
    for limits in mine:
        limits.keeper.ask("begin", limits.holder)
    failed = False
    try:
        yield
    except Exception as error:
        failed = True
        stop_all(place, error)
        raise
    finally:
        ray.get([limits.keeper.ask("end", limits.holder) for limits in mine])
        if failed:
            place.ask_keeper("all_ended", _END_S)
