"""One run of the engine: workers that pull requests, look into the journal, ask, read, and ask again."""

from __future__ import annotations

import asyncio
from collections.abc import Callable, Coroutine, Iterable, Iterator, Mapping
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mergeit_ops.core.replies import FailureReason, ReplyError
from mergeit_ops.errors import LLMUnavailableError, TooManyFailuresError
from mergeit_ops.llm.advice import too_many_failures, unavailable
from mergeit_ops.llm.backend import ChatBackend, Completion
from mergeit_ops.llm.classify import CallFailedError, FailureKind
from mergeit_ops.llm.gate import Gate
from mergeit_ops.llm.journal import Journal, answer_key
from mergeit_ops.llm.progress import Progress
from mergeit_ops.llm.retry import call_with_retries
from mergeit_ops.llm.usage import TokenBudget, Usage, estimate_messages, estimate_tokens

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine, LLMOutcome, LLMRequest

__all__ = ["Stage"]

T = TypeVar("T")
R = TypeVar("R")

MIN_OUTCOMES = 20
"""Outcomes before the share of failures is judged."""

_NOT_THE_MODELS_FAULT = {FailureReason.BUDGET, FailureReason.UNENCODABLE, FailureReason.BAD_ROW}


class Stage(Generic[T]):
    """Answers the requests of one run.

    :param engine: settings, and what is remembered from run to run.
    :param usage: the counters of this run, kept up to date.
    :param journal: open.
    :param progress: hears of each finished request.
    """

    def __init__(self, engine: LLMEngine, usage: Usage, journal: Journal, progress: Progress) -> None:
        self._engine = engine
        self._settings = engine.settings
        self._usage = usage
        self._journal = journal
        self._progress = progress
        self._identity = engine.backend_factory.identity()
        self._sampling_params = engine.backend_factory.sampling_params
        self._gate = Gate(self._settings.max_concurrency, clock=engine.clock, sleep=engine.sleep)
        self._budget = TokenBudget(self._settings.max_total_tokens, spent=engine.total.total_tokens)
        self._key_locks: dict[str, asyncio.Lock] = {}
        self._backend: ChatBackend | None = None
        self._last_failure: CallFailedError | None = None

    async def answer_all(self, requests: Iterable[LLMRequest[T]], on_outcome: Callable[[LLMOutcome[T]], None]) -> None:
        """Answer requests until none is left, or the run has to stop.

        :param requests: pulled as workers become free.
        :param on_outcome: called once per request.
        """
        source = iter(requests)
        lines = asyncio.ensure_future(self._progress.lines())
        try:
            # Twice as many as there may be calls: the next prompt is ready, whatever a worker waits for.
            workers = [self._work(source, on_outcome) for _ in range(2 * self._settings.max_concurrency)]
            await _all_or_none(workers)
            self._judge(at_end=True)
        finally:
            lines.cancel()
            await asyncio.gather(lines, return_exceptions=True)
            close = getattr(self._backend, "aclose", None)
            if close is not None:
                await close()

    async def _work(self, source: Iterator[LLMRequest[T]], on_outcome: Callable[[LLMOutcome[T]], None]) -> None:
        for request in source:
            self._usage.requests += 1
            outcome = await self._outcome(request)
            if outcome.error is None:
                self._usage.answered += 1
            else:
                self._usage.count_failure(str(outcome.error))
            on_outcome(outcome)
            self._progress.step()
            self._judge()
            # Answers from the journal come without waiting; the other workers have to be let in between.
            await asyncio.sleep(0)

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
        for attempt in range(self._settings.try_num):
            self._usage.reasks += attempt > 0
            completion = await self._ask(request, self._draw_params(index, attempt))
            try:
                if completion.problem is not None:
                    raise ReplyError(completion.problem)
                answer = request.parse(completion.text)
            except ReplyError as error:
                reason = error.reason
                continue
            self._journal.put(key, completion.text, (completion.prompt_tokens, completion.completion_tokens))
            return answer
        raise ReplyError(reason)

    def _draw_params(self, index: int, attempt: int) -> Mapping[str, Any]:
        """Return the sampling parameters, with a seed of its own for every answer where there is one at all."""
        seed = self._sampling_params.get("seed")
        if not isinstance(seed, int) or (index == 0 and attempt == 0):
            return self._sampling_params
        return {**self._sampling_params, "seed": seed + index + 1000 * attempt}

    async def _ask(self, request: LLMRequest[T], params: Mapping[str, Any]) -> Completion:
        from mergeit_ops.llm.engine import expected_completion_tokens

        prompt = estimate_messages(request.messages)
        reserve = prompt + expected_completion_tokens(request, params)
        if not await self._budget.reserve(reserve):
            raise ReplyError(FailureReason.BUDGET)
        used = 0
        try:
            completion = await self._call(request, params)
            used = self._count_tokens(completion, prompt)
        finally:
            self._budget.settle(reserve, used)
        return completion

    def _count_tokens(self, completion: Completion, prompt_estimate: int) -> int:
        prompt, written = completion.prompt_tokens, completion.completion_tokens
        if prompt is None or written is None:
            self._usage.estimated_calls += 1
        prompt = prompt_estimate if prompt is None else prompt
        written = estimate_tokens(completion.text) if written is None else written
        self._usage.prompt_tokens += prompt
        self._usage.completion_tokens += written
        return prompt + written

    async def _call(self, request: LLMRequest[T], params: Mapping[str, Any]) -> Completion:
        engine = self._engine

        async def attempt() -> Completion:
            async with self._gate:
                if self._backend is None:
                    self._backend = engine.backend_factory.create(self._settings.max_concurrency)
                self._usage.calls += 1
                return await self._backend.complete(request.messages, params, request.schema)

        try:
            completion = await call_with_retries(
                attempt,
                policy=engine.policy,
                proven=lambda: engine.proven,
                on_retry=self._note_retry,
                sleep=engine.sleep,
                clock=engine.clock,
            )
        except CallFailedError as error:
            failure = error
        else:
            engine.proven = True
            self._gate.speed_up()
            return completion
        # Outside the handler, so that a user's traceback is one sentence and not a history.
        self._last_failure = failure
        if failure.kind.fatal and not engine.proven:
            raise LLMUnavailableError(unavailable(failure, self._identity))
        raise ReplyError(FailureReason.API_FAILED)

    def _note_retry(self, failure: CallFailedError, delay_s: float) -> None:
        self._usage.retries += 1
        if failure.kind is FailureKind.RATE_LIMITED or failure.retry_after is not None:
            self._gate.slow_down(delay_s)

    def _judge(self, at_end: bool = False) -> None:
        """Stop the run when too large a share of all requests so far has failed."""
        total = self._engine.total
        reasons = dict(total.failures)
        for reason, count in self._usage.failures.items():
            reasons[reason] = reasons.get(reason, 0) + count
        judged = {reason: count for reason, count in reasons.items() if reason not in _NOT_THE_MODELS_FAULT}
        failed = sum(judged.values())
        outcomes = failed + total.answered + self._usage.answered
        limit = self._settings.max_failure_ratio
        enough = outcomes >= MIN_OUTCOMES or (at_end and failed == outcomes)
        if failed and enough and failed > limit * outcomes:
            last = self._last_failure.detail if self._last_failure else None
            raise TooManyFailuresError(too_many_failures(failed, outcomes, judged, limit, last))


async def _all_or_none(coroutines: Iterable[Coroutine[Any, Any, R]]) -> list[R]:
    """Await coroutines together; when one fails, the others are cancelled and gone before its exception is raised."""
    tasks = [asyncio.ensure_future(coroutine) for coroutine in coroutines]
    try:
        return list(await asyncio.gather(*tasks))
    except BaseException:
        for task in tasks:
            task.cancel()
        await asyncio.gather(*tasks, return_exceptions=True)
        raise


def _encodable(messages: Iterable[Mapping[str, str]]) -> bool:
    try:
        for turn in messages:
            turn["content"].encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True
