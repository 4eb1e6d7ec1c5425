"""One run of the engine: workers that pull requests, look into the journal, ask, read, and ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mergeit_ops.core.replies import FailureReason, ReplyError
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.llm.advice import asked_to_wait, unavailable
from mergeit_ops.llm.backend import ChatBackend, Completion
from mergeit_ops.llm.classify import CallFailedError, FailureKind
from mergeit_ops.llm.concurrency import ConcurrencyLimit
from mergeit_ops.llm.failure_share import check_failures
from mergeit_ops.llm.journal import answer_key
from mergeit_ops.llm.journals import AnswerStore
from mergeit_ops.llm.progress import Progress
from mergeit_ops.llm.retry import call_with_retries
from mergeit_ops.llm.usage import Budget, TokenBudget, Usage, estimate_messages, estimate_tokens

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine, LLMOutcome, LLMRequest

__all__ = ["Stage"]

T = TypeVar("T")
R = TypeVar("R")

_REFUSED_REQUESTS = 3
"""Requests a server forbids, or refuses in the same words, before a run stops; fewer may be about what they hold."""

_ABOUT_ONE_REQUEST = {
    FailureKind.TOO_LONG: FailureReason.TOO_LONG,
    FailureKind.REFUSED: FailureReason.REFUSED,
}

_REFUSAL_STEPS = 10

_LOST_REQUESTS = 2
"""Requests that bring no usable answer before a run stops, as long as none has brought one."""


class Stage(Generic[T]):
    """Answers the requests of one run.

    :param engine: settings, and what is remembered from run to run.
    :param usage: the counters of this run, kept up to date.
    :param journal: open.
    :param progress: hears of each finished request.
    """

    def __init__(self, engine: LLMEngine, usage: Usage, journal: AnswerStore, progress: Progress) -> None:
        self._engine = engine
        self._settings = engine.settings
        self._usage = usage
        self._journal = journal
        self._progress = progress
        self._identity = engine.backend_factory.identity()
        self._sampling_params = engine.backend_factory.sampling_params
        self._places = self._settings.max_concurrency * getattr(engine.backend_factory, "waiting_per_place", 1)
        self._limit = ConcurrencyLimit(self._places, clock=engine.clock, sleep=engine.sleep)
        self._budget = engine.budget or _own_budget(engine)
        self._first_contact = asyncio.Lock()
        self._first_call: asyncio.Future[Completion] | None = None
        self._first_call_failed = False
        self._refused: dict[str, list[LLMRequest[T]]] = {}
        self._lost = 0
        self._stopped = False
        self._key_locks: dict[str, asyncio.Lock] = {}
        self._asked: set[int] = set()
        self._backend: ChatBackend | None = None
        self._last_failure: CallFailedError | None = None
        self._last_of_server: CallFailedError | None = None

    async def answer_all(
        self,
        requests: Iterable[LLMRequest[T]],
        on_outcome: Callable[[LLMOutcome[T]], None],
        *,
        more_to_come: bool = False,
    ) -> None:
        """Answer requests until none is left, or the run has to stop.

        :param requests: pulled as workers become free, in a thread of their own.
        :param on_outcome: called once per request, in the same thread: what both share needs no lock.
        :param more_to_come: whether further runs belong to the same work.
        """
        source = iter(requests)
        lines = asyncio.ensure_future(self._progress.lines())
        with ThreadPoolExecutor(1, thread_name_prefix="mergeit-requests") as caller:
            try:
                # Twice as many as there may be calls: the next prompt is ready, whatever a worker waits for.
                workers = [self._work(source, on_outcome, caller) for _ in range(2 * self._places)]
                await _all_or_none(workers)
                self._judge(at_end=not more_to_come)
            finally:
                lines.cancel()
                await asyncio.gather(lines, return_exceptions=True)
                close = getattr(self._backend, "aclose", None)
                if close is not None:
                    await close()

    async def _work(
        self,
        source: Iterator[LLMRequest[T]],
        on_outcome: Callable[[LLMOutcome[T]], None],
        caller: ThreadPoolExecutor,
    ) -> None:
        loop = asyncio.get_running_loop()
        request = await loop.run_in_executor(caller, next, source, None)
        while request is not None:
            self._usage.requests += 1
            outcome = await self._outcome(request)
            if outcome.error is None:
                self._usage.answered += 1
            else:
                self._usage.count_failure(str(outcome.error))
            await loop.run_in_executor(caller, on_outcome, outcome)
            self._progress.step(asked=id(request) in self._asked)
            self._asked.discard(id(request))
            self._judge()
            request = await loop.run_in_executor(caller, next, source, None)

    async def _outcome(self, request: LLMRequest[T]) -> LLMOutcome[T]:
        from mergeit_ops.llm.engine import LLMOutcome

        if not _encodable(request.messages):
            return LLMOutcome(request.tag, (), FailureReason.UNENCODABLE)
        candidates = [self._candidate(request, index) for index in range(request.num_candidates)]
        results = [await candidates[0]] if len(candidates) == 1 else await _all_or_none(candidates)
        answers = tuple(result for result in results if not isinstance(result, FailureReason))
        reasons = [result for result in results if isinstance(result, FailureReason)]
        return LLMOutcome(request.tag, answers, None if answers else reasons[0])

    async def _candidate(self, request: LLMRequest[T], index: int) -> T | FailureReason:
        """Return one answer, or the reason why there is none."""
        key = answer_key(self._identity, request.messages, self._sampling_params, index)
        lock = self._key_locks.setdefault(key, asyncio.Lock())
        try:
            # The same question twice at the same time: the second waits, and finds the answer in the journal.
            async with lock:
                return await self._from_journal_or_model(request, index, key)
        except ReplyError as error:
            return error.reason
        finally:
            if self._key_locks.get(key) is lock:
                del self._key_locks[key]

    async def _from_journal_or_model(self, request: LLMRequest[T], index: int, key: str) -> T:
        stored = self._journal.get(key)
        if stored is not None:
            try:
                answer = request.parse(stored)
            except ReplyError:
                pass
            else:
                self._usage.cache_hits += 1
                return answer
        cut_off = 0
        for attempt in range(self._settings.try_num):
            self._usage.reasks += attempt > 0
            completion = await self._ask(request, self._draw_params(index, attempt), cut_off)
            try:
                if completion.problem is not None:
                    raise ReplyError(completion.problem)
                answer = request.parse(completion.text)
            except ReplyError as error:
                reason = error.reason
                cut_off += reason is FailureReason.TRUNCATED
                continue
            used = (completion.prompt_tokens, completion.completion_tokens)
            self._journal.put(key, completion.text, used, model=self._engine.model)
            return answer
        raise ReplyError(reason)

    def _draw_params(self, index: int, attempt: int) -> Mapping[str, Any]:
        """Return the sampling parameters, with a seed of its own for every answer where there is one at all."""
        params, extra = self._sampling_params, self._sampling_params.get("extra_body") or {}
        seed = extra.get("seed", params.get("seed"))
        if not isinstance(seed, int) or (index == 0 and attempt == 0):
            return params
        own = {"seed": seed + index + 1000 * attempt}
        return {**params, "extra_body": {**extra, **own}} if "seed" in extra else {**params, **own}

    async def _ask(self, request: LLMRequest[T], params: Mapping[str, Any], cut_off: int) -> Completion:
        self._asked.add(id(request))
        if self._trusted():
            return await self._ask_within_budget(request, params, cut_off)
        call = None
        # One call alone finds out whether the server answers at all: a wrong key costs one request, not dozens.
        async with self._first_contact:
            if not self._trusted():
                # Before the clock starts: loading the client library takes as long as a refusal.
                self._opened_backend()
                call = asyncio.ensure_future(self._ask_within_budget(request, params, cut_off))
                try:
                    for _ in range(_REFUSAL_STEPS):
                        # On a busy machine each step takes longer, and so does a refusal.
                        await asyncio.wait([call], timeout=self._engine.policy.refusal_s / _REFUSAL_STEPS)
                    if self._usage.retries:
                        await asyncio.wait([call])
                except BaseException:
                    await _cancelled(call)
                    raise
                # Refusals come at once: a server that takes longer is at work on an answer.
                self._first_call, self._first_call_failed = call, False
        return await (call or self._ask_within_budget(request, params, cut_off))

    def _trusted(self) -> bool:
        """Tell whether the server has answered, or is at work on another call that has not failed yet."""
        first = self._first_call
        at_work = first is not None and not first.done() and first is not asyncio.current_task()
        return self._engine.proven or (at_work and not self._first_call_failed)

    async def _ask_within_budget(self, request: LLMRequest[T], params: Mapping[str, Any], cut_off: int) -> Completion:
        from mergeit_ops.llm.engine import completion_cap, expected_completion_tokens

        estimate, reserve = estimate_messages(request.messages), self._engine.reserve
        expected, cap = expected_completion_tokens(request, params), completion_cap(params)
        while True:
            room = reserve.completion(expected, cap, cut_off)
            reserved = reserve.prompt(estimate) + room
            if not await self._budget.reserve(reserved):
                raise ReplyError(FailureReason.BUDGET)
            if reserved >= reserve.prompt(estimate) + reserve.completion(expected, cap, cut_off):
                break
            # While this one waited, another call has shown that more must be set aside.
            self._budget.settle(reserved, 0)
        if self._budget.limited and cap is None:
            params = {**params, "max_tokens": room}
        used = 0
        try:
            try:
                completion = await self._call(request, params, estimate)
            except ReplyError as error:
                # Some servers count what is set aside for the answer: with as much as is expected it may fit.
                set_aside = self._budget.limited and cap is None and room > expected
                if error.reason is not FailureReason.TOO_LONG or not set_aside:
                    raise
                completion = await self._call(request, {**params, "max_tokens": expected}, estimate)
            used = self._count_tokens(completion, estimate)
        finally:
            self._budget.settle(reserved, used)
        return completion

    def _count_tokens(self, completion: Completion, prompt_estimate: int) -> int:
        prompt, written = completion.prompt_tokens, completion.completion_tokens
        if prompt is None or written is None:
            self._usage.estimated_calls += 1
        prompt = prompt_estimate if prompt is None else prompt
        written = estimate_tokens(completion.text) if written is None else written
        self._usage.prompt_tokens += prompt
        self._usage.completion_tokens += written
        self._engine.reserve.learn(prompt_estimate, prompt, written)
        return prompt + written

    async def _call(self, request: LLMRequest[T], params: Mapping[str, Any], prompt_estimate: int) -> Completion:
        engine = self._engine
        queued_s = 0.0

        async def attempt() -> Completion:
            nonlocal queued_s
            start = engine.clock()
            async with self._limit:
                queued_s += engine.clock() - start
                if self._stopped:
                    # Whoever was next in line: nothing more is sent, the cancellation is on its way.
                    await asyncio.get_running_loop().create_future()
                if await self._budget.overdrawn():
                    raise ReplyError(FailureReason.BUDGET)
                backend = self._opened_backend()
                self._usage.calls += 1
                try:
                    return await backend.complete(request.messages, params, request.schema)
                except CallFailedError as lost:
                    self._first_call_failed |= asyncio.current_task() is self._first_call
                    if lost.kind is FailureKind.TRANSIENT:
                        prompt = engine.reserve.prompt(prompt_estimate)
                        self._usage.lost_prompt_tokens += prompt
                        self._budget.lose(prompt)
                    raise
                except LLMUnavailableError:
                    self._stopped = True
                    raise

        first_attempts = max(1, engine.policy.first_answer_attempts - self._lost)
        try:
            completion = await call_with_retries(
                attempt,
                policy=replace(engine.policy, first_answer_attempts=first_attempts),
                proven=self._trusted,
                on_retry=self._note_retry,
                sleep=engine.sleep,
                # The retry window is for the server's answers; a place in the queue is no answer.
                clock=lambda: engine.clock() - queued_s,
            )
        except CallFailedError as error:
            failure = error
        else:
            engine.proven = True
            self._limit.speed_up()
            return completion
        # Outside the handler, so that a user's traceback is one sentence and not a history.
        self._last_failure = failure
        await self._stop_if_hopeless(request, failure)
        raise ReplyError(_ABOUT_ONE_REQUEST.get(failure.kind, FailureReason.API_FAILED))

    def _opened_backend(self) -> ChatBackend:
        if self._backend is None:
            self._backend = self._engine.backend_factory.create(self._settings.max_concurrency)
        return self._backend

    def _note_retry(self, failure: CallFailedError, delay_s: float) -> None:
        self._usage.retries += 1
        self._pause(failure, delay_s)

    def _pause(self, failure: CallFailedError, delay_s: float) -> None:
        if failure.kind is FailureKind.RATE_LIMITED or failure.retry_after is not None:
            self._limit.slow_down(delay_s)

    async def _stop_if_hopeless(self, request: LLMRequest[T], failure: CallFailedError) -> None:
        """Stop the run when a call has failed for good, and no other can fare better."""
        policy = self._engine.policy
        wait = failure.retry_after
        if wait is not None and wait > policy.total_s:
            self._stopped = True
            raise LLMUnavailableError(asked_to_wait(wait, self._identity))
        # Given up is not over: the next call would meet the same refusal.
        self._pause(failure, policy.cap_s if wait is None else wait)
        gone = failure.kind in (FailureKind.UNREACHABLE, FailureKind.LOADING)
        if not gone and (self._engine.proven or (self._trusted() and not failure.kind.fatal)):
            return
        self._lost += failure.kind is FailureKind.TRANSIENT
        if failure.kind in (FailureKind.TRANSIENT, FailureKind.FORBIDDEN):
            # Others may be about the one request.
            self._last_of_server = failure
        alike = self._refused_like(failure)
        if not any(known is request for known in alike):
            alike.append(request)
        # Calls that were refused for their rate have waited long enough for a server to recover.
        hopeless = (
            failure.kind in (FailureKind.RATE_LIMITED, FailureKind.LOADING)
            or self._lost >= _LOST_REQUESTS
            or len(alike) >= _REFUSED_REQUESTS
        )
        if failure.kind.fatal or hopeless:
            self._stopped = True
            listed = getattr(self._backend, "models", None)
            if failure.kind is FailureKind.NOT_FOUND and listed is not None:
                failure.models = await listed()
            raise LLMUnavailableError(unavailable(failure, self._identity))

    def _refused_like(self, failure: CallFailedError) -> list[LLMRequest[T]]:
        """Return the requests that were refused like this one; a new list where a refusal says nothing of others."""
        if failure.kind is FailureKind.FORBIDDEN:
            return self._refused.setdefault(failure.kind.value, [])
        if failure.kind is FailureKind.BAD_REQUEST:
            return self._refused.setdefault(failure.detail, [])
        return []

    def _judge(self, at_end: bool = False) -> None:
        """Stop the run when too large a share of all requests so far has failed."""
        total = self._engine.total
        reasons = dict(total.failures)
        for reason, count in self._usage.failures.items():
            reasons[reason] = reasons.get(reason, 0) + count
        answered = total.answered + self._usage.answered
        if at_end and not answered and self._last_of_server is not None:
            raise LLMUnavailableError(unavailable(self._last_of_server, self._identity))
        last = self._last_failure.detail if self._last_failure else None
        check_failures(answered, reasons, self._settings.max_failure_ratio, at_end=at_end, last=last)


def _own_budget(engine: LLMEngine) -> Budget:
    spent = engine.total.total_tokens + engine.total.lost_prompt_tokens
    return TokenBudget(engine.settings.max_total_tokens, spent=spent)


async def _all_or_none(coroutines: Iterable[Coroutine[Any, Any, R]]) -> list[R]:
    """Await coroutines together; when one fails, the others are cancelled and gone before its exception is raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        await _cancelled(*tasks)
        raise


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    for task in tasks:
        task.cancel()
    await asyncio.gather(*tasks, return_exceptions=True)


def _encodable(messages: Iterable[Mapping[str, str]]) -> bool:
    try:
        for turn in messages:
            turn["content"].encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
