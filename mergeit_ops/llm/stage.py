"""One run of the engine: workers that pull requests, read the journal, ask, parse, and ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Awaitable, Callable, Coroutine, Iterable, Iterator, Mapping
from concurrent.futures import ThreadPoolExecutor
from dataclasses import replace
from typing import TYPE_CHECKING, Any, Generic, NoReturn, TypeVar

from loguru import logger

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.errors import LLMError, LLMUnavailableError
from mergeit_ops.llm.advice import (
    asked_to_wait,
    only_reasoning,
    other_model,
    parameter_cure,
    refused_parameter,
    unavailable,
    without_parameter,
)
from mergeit_ops.llm.backend import ChatBackend, Completion
from mergeit_ops.llm.concurrency import ConcurrencyLimit
from mergeit_ops.llm.failure_share import check_failures
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.journal import answer_key
from mergeit_ops.llm.journals import AnswerStore
from mergeit_ops.llm.progress import Progress
from mergeit_ops.llm.question import Book, Question, answered_by, encodable, words_of
from mergeit_ops.llm.refusals import gist
from mergeit_ops.llm.requests import (
    LLMOutcome,
    LLMRequest,
    completion_cap,
    expected_completion_tokens,
    outcome_of,
)
from mergeit_ops.llm.retry import call_with_retries
from mergeit_ops.llm.servers import CAP_FIELDS, is_placeholder
from mergeit_ops.llm.usage import SpendingLimit, TokenBudget, Usage, estimate_messages

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["ABOUT_ONE_REQUEST", "Stage", "all_or_none"]

T = TypeVar("T")
R = TypeVar("R")

_REFUSED_REQUESTS = 3
"""Number of requests that a server forbids, or refuses in the same words, before a run stops. Fewer refusals may be due
to the content."""

ABOUT_ONE_REQUEST = {
    FailureKind.TOO_LONG: FailureReason.TOO_LONG,
    FailureKind.REFUSED: FailureReason.REFUSED,
}

_NO_ANSWER = (FailureKind.TRANSIENT, FailureKind.UNUSABLE)
"""Failures after which the server may charge for the request."""

_REFUSAL_STEPS = 10

_TURNS = 5
"""Number of answers to others, per waiting request, after which the rate is not the reason why a request waits."""

_ONLY_REASONING = 3
"""Number of first requests answered only with reasoning after which a run stops."""

_NAMED_MODELS = 8
"""Most other model names that are counted separately, because a server may invent names."""

_CANCELLED_AGAIN_S = 0.5
"""Seconds after which a task that has been cancelled and still runs is cancelled again."""

_LOST_REQUESTS = 2
"""Number of requests without a usable answer after which a run stops, if there has been no usable answer."""


class Stage(Generic[T]):
    """Answers the requests of one run.

    :param engine: engine, with its settings and its memory from run to run.
    :param usage: the counters of this run, which are updated.
    :param journal: open.
    :param progress: progress display, which is told of each finished request.
    """

    def __init__(self, engine: LLMEngine, usage: Usage, journal: AnswerStore, progress: Progress) -> None:
        self._engine = engine
        self._settings = engine.settings
        self._usage = usage
        self._progress = progress
        self._book = Book(engine, usage, journal)
        self._identity = self._book.identity
        self._sampling_params = self._book.sampling_params
        self._places = self._settings.max_concurrency * getattr(engine.backend_factory, "waiting_per_place", 1)
        self._shared = engine.shared
        self._limit = ConcurrencyLimit(
            self._places,
            clock=engine.clock,
            sleep=engine.sleep,
            shared=self._shared.place if self._shared is not None and engine.asks_a_server else None,
        )
        self._budget: SpendingLimit = self._shared or _own_budget(engine)
        self._first_contact = asyncio.Lock()
        self._first_call: asyncio.Future[Completion] | None = None
        self._first_call_failed = False
        self._refused: dict[str, list[LLMRequest[T]]] = {}
        self._lost = 0
        self._stopped = False
        self._key_locks: dict[str, asyncio.Lock] = {}
        self._asked: set[int] = set()
        self._under_way: set[asyncio.Future[None]] = set()
        engine.refusals.begin()
        self._backend: ChatBackend | None = None
        self._last_of_server: CallFailedError | None = None

    async def answer_all(
        self,
        requests: Iterable[LLMRequest[T]],
        on_outcome: Callable[[LLMOutcome[T]], LLMRequest[T] | None],
        *,
        more_to_come: bool = False,
    ) -> None:
        """Answer requests until none is left, or the run has to stop.

        :param requests: pulled as workers become free, in a separate thread.
        :param on_outcome: called once per request, in the same thread, so both can share data without a lock. It may
            return the next request.
        :param more_to_come: whether more runs of the same work follow.
        """
        source = iter(requests)
        lines = asyncio.ensure_future(self._progress.lines())
        with ThreadPoolExecutor(1, thread_name_prefix="mergeit-requests") as caller:
            try:
                # Twice as many workers as calls, so that the next prompt is always ready.
                workers = [self._work(source, on_outcome, caller) for _ in range(2 * self._places)]
                stops = None if self._shared is None else _raised(self._shared.stopped())
                await all_or_none(workers, before_the_end=self._answers_under_way, alongside=stops)
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
        on_outcome: Callable[[LLMOutcome[T]], LLMRequest[T] | None],
        caller: ThreadPoolExecutor,
    ) -> None:
        loop = asyncio.get_running_loop()

        def following(outcome: LLMOutcome[T]) -> LLMRequest[T] | None:
            # Both in one switch of threads.
            return on_outcome(outcome) or next(source, None)

        request = await loop.run_in_executor(caller, next, source, None)
        while request is not None:
            self._usage.requests += 1
            outcome = await self._outcome(request)
            if outcome.error is None:
                self._usage.answered += 1
            else:
                self._usage.count_failure(str(outcome.error), self._book.words.get(outcome.error))
            next_request = await loop.run_in_executor(caller, following, outcome)
            self._progress.step(asked=id(request) in self._asked)
            self._asked.discard(id(request))
            self._judge()
            request = next_request

    async def _outcome(self, request: LLMRequest[T]) -> LLMOutcome[T]:
        if not encodable(request.messages):
            return LLMOutcome(request.tag, (), FailureReason.UNENCODABLE)
        questions = [Question(self._book, request, index) for index in range(request.num_candidates)]
        candidates = [self._candidate(question, request) for question in questions]
        results = [await candidates[0]] if len(candidates) == 1 else await all_or_none(candidates)
        return outcome_of(request.tag, results, answered_by(questions))

    async def _candidate(self, question: Question[T], request: LLMRequest[T]) -> T | FailureReason:
        """Return one answer, or the reason why there is none."""
        key = question.key
        lock = self._key_locks.setdefault(key, asyncio.Lock())
        try:
            # If the same question is asked twice at the same time, the second waits and finds the answer in the
            # journal.
            async with lock:
                return await self._from_journal_or_model(question, request)
        except ReplyError as error:
            return error.reason
        finally:
            if self._key_locks.get(key) is lock:
                del self._key_locks[key]

    async def _from_journal_or_model(self, question: Question[T], request: LLMRequest[T]) -> T | FailureReason:
        try:
            while await question.claims_a_call():
                self._asked.add(id(request))
                question.count_call()
                question.take(await self._ask(question.asked, question.params, question.cut_off))
        finally:
            question.give_up_claim()
        return question.result

    async def _ask(self, request: LLMRequest[T], params: Mapping[str, Any], cut_off: int) -> Completion:
        if self._trusted():
            return await self._ask_within_budget(request, params, cut_off)
        call = None
        # One call alone shows whether the server answers at all, so a wrong key costs one request, not dozens.
        async with self._first_contact:
            if not self._trusted():
                # Before the clock starts, because loading the client library takes as long as a refusal.
                self._opened_backend()
                call = asyncio.ensure_future(self._ask_within_budget(request, params, cut_off))
                try:
                    for _ in range(_REFUSAL_STEPS):
                        # On a busy machine each step takes longer, and so does a refusal.
                        await asyncio.wait([call], timeout=self._engine.policy.refusal_s / _REFUSAL_STEPS)
                    if self._usage.retries or self._settings.warm_up:
                        await asyncio.wait([call])
                except BaseException:
                    await _cancelled(call)
                    raise
                # Refusals are immediate. A server that takes longer is working on an answer.
                self._first_call, self._first_call_failed = call, False
        return await (call or self._ask_within_budget(request, params, cut_off))

    def _trusted(self) -> bool:
        """Return whether the server has answered, or is working on another call that has not failed yet."""
        first = self._first_call
        at_work = first is not None and not first.done() and first is not asyncio.current_task()
        return self._engine.proven or (at_work and not self._first_call_failed)

    async def _ask_within_budget(self, request: LLMRequest[T], params: Mapping[str, Any], cut_off: int) -> Completion:
        estimate, reserve = estimate_messages(request.messages), self._engine.reserve
        expected, cap = expected_completion_tokens(request, params), completion_cap(params)
        while True:
            room = reserve.completion(expected, cap, cut_off)
            reserved = reserve.prompt(estimate) + room
            if not await self._budget.reserve(reserved):
                raise ReplyError(FailureReason.BUDGET)
            if reserved >= reserve.prompt(estimate) + reserve.completion(expected, cap, cut_off):
                break
            # While this call waited, another one has shown that a larger reserve is needed.
            self._budget.settle(reserved, 0)
        if self._budget.limited and cap is None:
            params = {**params, "max_tokens": room}
        used = 0
        try:
            try:
                completion = await self._call(request, params, estimate)
            except ReplyError as error:
                # Some servers count the limit of the answer. With a limit of the expected length, the request may fit.
                set_aside = self._budget.limited and cap is None and room > expected
                if error.reason is not FailureReason.TOO_LONG or not set_aside:
                    raise
                completion = await self._call(request, {**params, "max_tokens": expected}, estimate)
            used = self._count_tokens(completion, estimate)
        finally:
            self._budget.settle(reserved, used)
        return completion

    def _count_tokens(self, completion: Completion, prompt_estimate: int) -> int:
        if completion.prompt_tokens is None or completion.completion_tokens is None:
            self._usage.estimated_calls += 1
        prompt, written = self._tokens_of(completion, prompt_estimate)
        self._usage.prompt_tokens += prompt
        self._usage.completion_tokens += written
        self._usage.cached_prompt_tokens += min(completion.cached_tokens or 0, prompt)
        self._engine.reserve.learn(prompt_estimate, prompt, written)
        return prompt + written

    @staticmethod
    def _tokens_of(completion: Completion, prompt_estimate: int) -> tuple[int, int]:
        """Return the tokens of prompt and answer, estimated if the server does not report them."""
        prompt, written = completion.prompt_tokens, completion.completion_tokens
        return (
            prompt_estimate if prompt is None else prompt,
            estimate_tokens(completion.text) if written is None else written,
        )

    async def _call(self, request: LLMRequest[T], params: Mapping[str, Any], prompt_estimate: int) -> Completion:
        engine = self._engine
        ticket = self._limit.ticket()
        queued_s = 0.0

        async def attempt() -> Completion:
            nonlocal queued_s
            start = engine.clock()
            async with self._limit.place(ticket):
                queued_s += engine.clock() - start
                if self._stopped:
                    # For the next call in line: nothing more is sent, because the cancellation is pending.
                    await asyncio.get_running_loop().create_future()
                if await self._budget.overdrawn():
                    raise ReplyError(FailureReason.BUDGET)
                ended: asyncio.Future[None] = asyncio.get_running_loop().create_future()
                self._under_way.add(ended)
                try:
                    return await self._complete(request, params)
                except CallFailedError as lost:
                    self._first_call_failed |= asyncio.current_task() is self._first_call
                    if lost.kind in _NO_ANSWER:
                        prompt = engine.reserve.prompt(prompt_estimate)
                        self._usage.lost_prompt_tokens += prompt
                        self._budget.lose(prompt)
                    raise
                except LLMUnavailableError:
                    self._stopped = True
                    raise
                finally:
                    self._under_way.discard(ended)
                    if not ended.done():
                        ended.set_result(None)

        waits: list[str] = []
        answers_before = engine.refusals.answers
        answered = False
        most = 0

        def note(failure: CallFailedError) -> None:
            nonlocal answers_before
            if failure.kind is FailureKind.RATE_LIMITED:
                if not waits:
                    waits.append(_name_of(request))
                    answers_before = engine.refusals.answers
                engine.refusals.rate_limited(waits[0], engine.clock())

        def stalled_s() -> float | None:
            nonlocal most
            # If several requests are refused, a request waits for its turn, even if it is one of the last. If many more
            # turns have passed, the rate is not its problem.
            most = max(most, engine.refusals.several() if waits else 0)
            throttled = engine.refusals.answers - answers_before < _TURNS * most
            return engine.refusals.stalled_s(engine.clock()) if throttled else None

        policy = engine.policy
        if self._lost:
            policy = replace(policy, first_answer_attempts=max(1, policy.first_answer_attempts - self._lost))
        try:
            while True:
                try:
                    completion = await call_with_retries(
                        attempt,
                        policy=policy,
                        proven=self._trusted,
                        stalled_s=stalled_s,
                        on_failure=note,
                        on_retry=lambda failure, delay_s: self._note_retry(failure, delay_s, ticket),
                        sleep=engine.sleep,
                        # The retry window covers the server's answers; waiting in the queue does not count.
                        clock=lambda: engine.clock() - queued_s,
                    )
                except CallFailedError as error:
                    failure = error
                else:
                    answered = True
                    self._note_answer(request, completion, prompt_estimate)
                    self._limit.speed_up()
                    return completion
                if not await self._others_are_answered(failure, stalled_s):
                    break
            over = failure.kind is FailureKind.RATE_LIMITED and (stalled_s() or 0.0) >= policy.patience_s
            stalled = over and bool(engine.refusals.several())
        finally:
            for name in waits:
                engine.refusals.through(name, answered)
        # Outside the handler, so that the user sees one sentence and no chain of exceptions.
        reason = ABOUT_ONE_REQUEST.get(failure.kind, FailureReason.API_FAILED)
        if self._is_of_recipe(failure):
            failure = failure.but(detail=f"{failure.detail}: {parameter_cure(failure)}")
        self._book.words[reason] = failure.detail
        await self._stop_if_hopeless(request, failure, stalled)
        raise ReplyError(reason)

    async def _complete(self, request: LLMRequest[T], params: Mapping[str, Any]) -> Completion:
        """Ask once, and again without the defaults that the server refuses."""
        engine = self._engine
        backend = self._opened_backend()
        while True:
            sent = {name: value for name, value in params.items() if name not in engine.dropped}
            self._usage.calls += 1
            try:
                return await backend.complete(request.messages, sent, request.schema)
            except CallFailedError as failure:
                refused = failure
            # Outside the handler, so that the traceback does not show the original exception.
            if not self._leaves_out(refused, sent):
                raise refused

    def _leaves_out(self, refused: CallFailedError, sent: Mapping[str, Any]) -> bool:
        """Return whether a server refuses a default; if so, it is left out from now on.

        :param refused: the failure of a call.
        :param sent: its sampling parameters.
        :raises LLMUnavailableError: if it refuses a parameter of the recipe, and has not answered yet.
        """
        engine = self._engine
        field = _sent_field(refused, sent)
        if field is not None and not self._is_a_default(field):
            if field in engine.recipe_params and not engine.proven:
                raise LLMUnavailableError(refused_parameter(refused, self._identity))
            return False
        if field is not None and field not in engine.dropped:
            engine.dropped.add(field)
            logger.warning(without_parameter(refused, sent[field], self._identity))
        return field is not None

    def _is_of_recipe(self, failure: CallFailedError) -> bool:
        """Return whether a server refuses a parameter of the recipe, even if it has answered before."""
        return _sent_field(failure, self._sampling_params) in self._engine.recipe_params

    def _is_a_default(self, field: str) -> bool:
        if field in CAP_FIELDS:
            # Set by a token budget if the recipe sets none.
            return not self._engine.recipe_params.intersection(CAP_FIELDS)
        return field in self._engine.default_params

    def _note_answer(self, request: LLMRequest[T], completion: Completion, prompt_estimate: int) -> None:
        """Record what an answer shows about the server."""
        engine = self._engine
        engine.refusals.answered()
        if (answered := self._book.other_model(completion.model)) is not None:
            names = {*engine.total.answered_as, *self._usage.answered_as}
            if answered not in names and len(names) < _NAMED_MODELS and not is_placeholder(engine.model):
                logger.info(other_model(answered, self._identity))
            if answered in names or len(names) < _NAMED_MODELS:
                self._usage.answered_as[answered] = self._usage.answered_as.get(answered, 0) + 1
        if not completion.only_reasoning:
            engine.proven = True
        elif not engine.proven:
            engine.only_reasoning.add(_name_of(request))
            if len(engine.only_reasoning) >= _ONLY_REASONING:
                self._stopped = True
                # It is paid for, like any other answer.
                self._count_tokens(completion, prompt_estimate)
                raise LLMUnavailableError(only_reasoning(words_of(completion), self._identity))

    async def _others_are_answered(self, failure: CallFailedError, stalled_s: Callable[[], float | None]) -> bool:
        """Return whether a server that refuses a call for its rate answers earlier calls.

        Refusals are fast and answers are slow. If all calls are retried together, the first results say nothing about
        the others.

        :param failure: what the call ended with.
        :param stalled_s: function that returns how long no request has been answered; None if only one is refused.
        """
        policy = self._engine.policy
        if failure.kind is not FailureKind.RATE_LIMITED or (failure.retry_after or 0.0) > policy.total_s:
            return False
        if (stalled_s() or 0.0) >= policy.patience_s and self._under_way:
            await asyncio.wait(set(self._under_way))
        left = stalled_s()
        return left is not None and left < policy.patience_s

    async def _answers_under_way(self, error: BaseException) -> None:
        """Wait for paid answers if a run with answers has to stop."""
        if isinstance(error, LLMError):
            self._stopped = True
            if self._engine.proven and self._under_way:
                await asyncio.wait(set(self._under_way), timeout=self._engine.policy.answers_under_way_s)

    def _opened_backend(self) -> ChatBackend:
        if self._backend is None:
            self._backend = self._engine.backend_factory.create(self._settings.max_concurrency)
        return self._backend

    def _note_retry(self, failure: CallFailedError, delay_s: float, ticket: int) -> None:
        self._usage.retries += 1
        self._pause(failure, delay_s, ticket if failure.kind is FailureKind.RATE_LIMITED else None)

    def _pause(self, failure: CallFailedError, delay_s: float, ticket: int | None = None) -> None:
        if failure.kind is FailureKind.RATE_LIMITED or failure.retry_after is not None:
            self._limit.slow_down(delay_s, ticket)

    async def _stop_if_hopeless(self, request: LLMRequest[T], failure: CallFailedError, stalled: bool) -> None:
        """Stop the run if a call has finally failed and no other can succeed.

        :param request: the request.
        :param failure: the error of its last call.
        :param stalled: whether the server has refused all requests for their rate for as long as a run waits.
        """
        policy, refusals = self._engine.policy, self._engine.refusals
        wait = failure.retry_after
        if failure.kind.retryable and wait is not None and wait > policy.total_s:
            self._stopped = True
            raise LLMUnavailableError(asked_to_wait(failure, self._identity))
        refusals.given_up(_name_of(request), failure)
        gone = failure.kind in (FailureKind.UNREACHABLE, FailureKind.LOADING)
        if self._engine.proven and (
            gone or stalled or refusals.hopeless(any_kind=self._settings.max_failure_ratio < 1)
        ):
            await self._stop(failure)
        # The next call would get the same refusal.
        self._pause(failure, policy.cap_s if wait is None else min(wait, policy.total_s))
        if not gone and (self._engine.proven or (self._trusted() and not failure.kind.fatal)):
            return
        self._lost += failure.kind in _NO_ANSWER
        if failure.kind in (*_NO_ANSWER, FailureKind.FORBIDDEN):
            # Other failures may concern only this request.
            self._last_of_server = failure
        alike = self._refused_like(failure)
        if not any(known is request for known in alike):
            alike.append(request)
        # Calls refused for their rate have waited long enough for a server to recover.
        hopeless = (
            failure.kind in (FailureKind.RATE_LIMITED, FailureKind.LOADING)
            or self._lost >= _LOST_REQUESTS
            or len(alike) >= _REFUSED_REQUESTS
        )
        if failure.kind.fatal or hopeless:
            await self._stop(failure)

    async def _stop(self, failure: CallFailedError) -> NoReturn:
        self._stopped = True
        listed = getattr(self._backend, "models", None)
        if failure.kind is FailureKind.NOT_FOUND and listed is not None:
            failure.models = await listed()
        raise LLMUnavailableError(unavailable(failure, self._identity))

    def _refused_like(self, failure: CallFailedError) -> list[LLMRequest[T]]:
        """Return the requests that were refused like this one; a new list if a refusal says nothing about others."""
        if failure.kind is FailureKind.FORBIDDEN:
            return self._refused.setdefault(failure.kind.value, [])
        if failure.kind is FailureKind.BAD_REQUEST:
            return self._refused.setdefault(gist(failure.detail), [])
        return []

    def _judge(self, at_end: bool = False) -> None:
        """Stop the run if too large a share of all requests so far has failed."""
        total = self._engine.total
        reasons = dict(total.failures)
        for reason, count in self._usage.failures.items():
            reasons[reason] = reasons.get(reason, 0) + count
        answered = total.answered + self._usage.answered
        last_errors = {**total.last_errors, **self._usage.last_errors}
        if at_end and not answered and self._engine.only_reasoning and not self._engine.proven:
            words = last_errors.get(FailureReason.EMPTY.value) or last_errors.get(FailureReason.TRUNCATED.value, "")
            raise LLMUnavailableError(only_reasoning(words, self._identity))
        if at_end and not answered and self._last_of_server is not None:
            raise LLMUnavailableError(unavailable(self._last_of_server, self._identity))
        check_failures(answered, reasons, self._settings.max_failure_ratio, at_end=at_end, last_errors=last_errors)


def _own_budget(engine: LLMEngine) -> SpendingLimit:
    spent = engine.total.total_tokens + engine.total.lost_prompt_tokens
    return TokenBudget(engine.settings.max_total_tokens, spent=spent)


async def all_or_none(
    coroutines: Iterable[Coroutine[Any, Any, R]],
    before_the_end: Callable[[BaseException], Awaitable[None]] | None = None,
    alongside: Coroutine[Any, Any, NoReturn] | None = None,
) -> list[R]:
    """Await coroutines together. If one fails, cancel the others and await them before raising its exception.

    :param coroutines: coroutines to await.
    :param before_the_end: coroutine function that is awaited with the exception before the others are cancelled.
    :param alongside: coroutine that is not waited for, but may fail.
    """
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    together = asyncio.gather(*tasks)
    aside = [] if alongside is None else [asyncio.ensure_future(alongside)]
    try:
        try:
            if aside:
                await asyncio.wait({together, *aside}, return_when=asyncio.FIRST_COMPLETED)
                if not together.done():
                    aside[0].result()
            return list(await together)
        except Exception as error:
            if before_the_end is not None:
                await before_the_end(error)
            raise
    except BaseException:
        await _cancelled(*tasks)
        raise
    finally:
        # Together: so that its own copy of the exception counts as seen.
        await _cancelled(together, *aside)


async def _raised(error: Awaitable[BaseException]) -> NoReturn:
    raise await error


async def _cancelled(*tasks: asyncio.Future[Any]) -> None:
    running = set(tasks)
    while running:
        for task in running:
            task.cancel()
        # aiohttp takes a cancellation for its own timeout if both come at the same moment. The task goes on then, and
        # would wait for ever where a stopped run makes no more calls.
        _, running = await asyncio.wait(running, timeout=_CANCELLED_AGAIN_S)
    await asyncio.gather(*tasks, return_exceptions=True)


def _sent_field(failure: CallFailedError, sent: Mapping[str, Any]) -> str | None:
    """Return the field that a server refuses, by the name under which it was sent; None if it was not sent."""
    if failure.kind is not FailureKind.BAD_REQUEST or failure.field is None:
        return None
    fields = {**sent, **(sent.get("extra_body") or {})}
    names = CAP_FIELDS if failure.field in CAP_FIELDS else (failure.field,)
    return next((name for name in names if name in fields), None)


def _name_of(request: LLMRequest[Any]) -> str:
    """Return the key of a question, independent of the model."""
    return answer_key({}, request.messages, {})
