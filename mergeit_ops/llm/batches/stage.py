"""A run of the engine that asks in batches: round by round, until nothing is left to ask."""

from __future__ import annotations

import time
import uuid
from collections.abc import Callable, Iterable, Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any, Generic, TypeVar, cast

from loguru import logger

from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.errors import DiskError, LLMUnavailableError, TooManyFailuresError
from mergeit_ops.llm.advice import parameter_cure, unavailable
from mergeit_ops.llm.backend import BatchFactory, Completion
from mergeit_ops.llm.batches.advice import (
    batch_incomplete,
    batch_refused,
    batch_too_large,
    batch_unknown,
    requests_written,
    still_to_be_run,
    without_batches,
)
from mergeit_ops.llm.batches.ledger import (
    BY_HAND,
    FAILED,
    IN_VAIN,
    SETTLED,
    SUBMITTED,
    UNCERTAIN,
    WRITTEN,
    Ledger,
    SubmittedBatch,
)
from mergeit_ops.llm.batches.lines import BatchFile, BatchResult, Line, read_results, request_line, split
from mergeit_ops.llm.batches.service import MAX_FILE_BYTES, BatchService, BatchState, BatchUncertainError
from mergeit_ops.llm.batches.settings import BatchSettings
from mergeit_ops.llm.classify import error_in, failure_of
from mergeit_ops.llm.connection import Connection, mask_of, open_connection, shown
from mergeit_ops.llm.failures import CallFailedError, FailureKind
from mergeit_ops.llm.journals import AnswerStore
from mergeit_ops.llm.progress import Progress
from mergeit_ops.llm.question import Question, answered_by, encodable
from mergeit_ops.llm.requests import (
    LLMOutcome,
    LLMRequest,
    completion_cap,
    expected_completion_tokens,
    outcome_of,
)
from mergeit_ops.llm.stage import ABOUT_ONE_REQUEST, Stage, all_or_none
from mergeit_ops.llm.usage import TokenBudget, Usage, estimate_messages

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["BatchStage"]

T = TypeVar("T")

_NEVER_SENT = "the batch ended before this request was sent"
_NO_RESPONSE = "the batch ended without a response to this request"
_LINE_EVERY_S = 600.0
_STOPPING = (FailureKind.UNAUTHORIZED, FailureKind.NO_CREDIT, FailureKind.NOT_FOUND, FailureKind.FORBIDDEN)
_FETCHES = 4
_SLOWER = 1.5
"""Factor from one wait to the next."""
_SLOWEST = 10.0
"""Multiple of the first wait that waits grow to."""


class _Asked(Generic[T]):
    """A request of the run, with the questions that its candidates are.

    :param request: the request.
    :param questions: of its candidates; none if it cannot be sent.
    """

    def __init__(self, request: LLMRequest[T], questions: Sequence[Question[T]]) -> None:
        self.request = request
        self.questions = questions
        self.open: list[Question[T]] = list(questions)
        self.was_asked = False

    def outcome(self) -> LLMOutcome[T]:
        """Return what became of it."""
        if not self.questions:
            return LLMOutcome(self.request.tag, (), FailureReason.UNENCODABLE)
        results = [question.result for question in self.questions]
        return outcome_of(self.request.tag, results, answered_by(self.questions))


class BatchStage(Stage[T]):
    """Answers the requests of one run by batches.

    :param engine: settings, and what is remembered from run to run. Its settings have a journal.
    :param usage: the counters of this run, kept up to date.
    :param journal: open, in a file of this machine.
    :param progress: hears of each finished request.
    """

    def __init__(self, engine: LLMEngine, usage: Usage, journal: AnswerStore, progress: Progress) -> None:
        super().__init__(engine, usage, journal, progress)
        self._batching = BatchSettings.of(engine.settings)
        self._factory = cast("BatchFactory", engine.backend_factory)
        self._ledger = Ledger(Path(journal.path))
        self._service: BatchService | None = None
        self._connection: Connection | None = None
        self._reserved: dict[str, int] = {}
        self._lost_times: dict[str, int] = {}
        self._past: dict[str, list[str]] = {}
        # How the requests of a round are written: what is learnt from one batch is for the next round.
        self._form: Any = None
        self._unstored = False
        self._dropped: frozenset[str] = frozenset()
        self._mask = mask_of(self._factory.model_params)
        assert isinstance(self._budget, TokenBudget)
        self._own_budget: TokenBudget = self._budget

    async def answer_all(
        self,
        requests: Iterable[LLMRequest[T]],
        on_outcome: Callable[[LLMOutcome[T]], LLMRequest[T] | None],
        *,
        more_to_come: bool = False,
    ) -> None:
        """See `Stage`. All requests are pulled before the first batch is submitted."""
        try:
            begun = self._settled((self._begun(request) for request in requests), on_outcome)
            while begun:
                # The same question twice: one is asked, the other looks for its answer in the journal afterwards.
                calls = {question.key: question for asked in begun for question in asked.open}
                await self._round(calls)
                begun = self._settled(begun, on_outcome)
            self._judge(at_end=not more_to_come)
            self._ledger.finish(self._past)
        except TooManyFailuresError:
            # Whatever the cause was, the next run asks these requests anew.
            self._ledger.finish(self._past)
            raise
        finally:
            self._ledger.close()
            if self._service is not None:
                await self._service.aclose()

    def _begun(self, request: LLMRequest[T]) -> _Asked[T]:
        self._usage.requests += 1
        if not encodable(request.messages):
            return _Asked(request, ())
        return _Asked(request, [Question(self._book, request, index) for index in range(request.num_candidates)])

    def _settled(
        self, begun: Iterable[_Asked[T]], on_outcome: Callable[[LLMOutcome[T]], LLMRequest[T] | None]
    ) -> list[_Asked[T]]:
        """Report the requests that are answered, and those that follow from them; return the others."""
        left = []
        for asked in begun:
            following: _Asked[T] | None = asked
            while following is not None:
                following.open = list(filter(self._is_open, following.open))
                if following.open:
                    following.was_asked = True
                    left.append(following)
                    break
                outcome = following.outcome()
                if outcome.error is None:
                    self._usage.answered += 1
                else:
                    self._usage.count_failure(str(outcome.error), self._book.words.get(outcome.error))
                next_request = on_outcome(outcome)
                self._progress.step(asked=following.was_asked)
                following = None if next_request is None else self._begun(next_request)
        # All outcomes of the round are known: the first few alone say little.
        self._judge()
        return left

    def _is_open(self, question: Question[T]) -> bool:
        """Return whether a question has to be asked."""
        needed = question.needs_a_call(self._tried)
        past = self._past.get(question.key)
        if past and question.is_open and not question.was_answered:
            reasons = [FailureReason(outcome.rpartition(" ")[2]) for outcome in past]
            question.cut_off = reasons.count(FailureReason.TRUNCATED)
            if not needed:
                question.fail(reasons[-1])
        return needed

    def _tried(self, key: str) -> int:
        """Return how often earlier runs of the same work have asked a question in vain; this run counts its own."""
        if key not in self._past:
            self._past[key] = [outcome for outcome in self._ledger.past(key) if outcome != SETTLED]
        past = self._past[key]
        return self._settings.try_num if any(one.startswith(FAILED) for one in past) else len(past)

    async def _round(self, calls: Mapping[str, Question[T]]) -> None:
        """Submit what is not under way, and wait for all of it."""
        finished = self._usage.calls
        self._form, self._dropped = self._factory.form, frozenset(self._engine.dropped)
        with self._ledger.lock:
            await self._recover(calls)
            under_way = self._ledger.under_way(calls)
            known = {key for batch in under_way for key in batch.keys}
            for key in known.intersection(calls):
                self._set_aside(calls[key], key, whatever=True)
            new = {key: question for key, question in calls.items() if key not in known}
            files = split(self._lines(new), self._batching.max_requests, self._batching.max_bytes)
            if self._batching.folder is not None:
                under_way = [*under_way, *(self._write(file, self._batching.folder) for file in files)]
            else:
                under_way = [*under_way, *[await self._submit(file) for file in files]]
        self._stop_for_files(under_way)
        postponed = await all_or_none(self._take(batch, calls) for batch in under_way)
        refused = [words for words in postponed if words is not None]
        if refused and self._usage.calls == finished:
            raise LLMUnavailableError(batch_too_large(refused[0], self._identity))

    def _lines(self, calls: Mapping[str, Question[T]]) -> Iterable[Line]:
        """Yield the requests that the budget allows; those that it never will have failed when this ends."""
        for key, question in calls.items():
            params = self._set_aside(question, key)
            if params is None:
                continue
            body = self._factory.line(question.asked.messages, self._sent(params), question.asked.schema)
            yield request_line(key, self._factory.api_endpoint, body)

    def _sent(self, params: Mapping[str, Any]) -> dict[str, Any]:
        return {name: value for name, value in params.items() if name not in self._dropped}

    def _set_aside(self, question: Question[T], key: str, *, whatever: bool = False) -> Mapping[str, Any] | None:
        """Set tokens aside for a request; return its sampling parameters, None if it must not be sent now.

        :param question: what is asked.
        :param key: of its answer.
        :param whatever: whether it is under way already, so that it is paid for in any case.
        """
        params, reserve, request = question.params, self._engine.reserve, question.asked
        expected, cap = expected_completion_tokens(request, params), completion_cap(params)
        room = reserve.completion(expected, cap, question.cut_off)
        tokens = reserve.prompt(estimate_messages(request.messages)) + room
        fits = self._own_budget.reserve_now(tokens)
        if fits:
            self._reserved[key] = tokens
        elif whatever:
            return params
        elif fits is None:
            return None
        else:
            question.fail(FailureReason.BUDGET)
            return None
        if self._own_budget.limited and cap is None:
            return {**params, "max_tokens": room}
        return params

    async def _recover(self, calls: Iterable[str]) -> None:
        """Find out about batches of these requests whose submission was cut off; only their server knows them."""
        for batch in self._ledger.under_way(calls):
            if batch.state == WRITTEN:
                if batch.file is not None:
                    Path(batch.file).unlink(missing_ok=True)
                self._ledger.drop(batch.number)
            elif batch.state == UNCERTAIN and batch.file is not None:
                found = await self._found(batch, batch.file)
                if found is None:
                    self._ledger.drop(batch.number)
                else:
                    self._ledger.note(batch.number, SUBMITTED, batch_id=found.id)

    async def _found(self, batch: SubmittedBatch, file: str) -> BatchState | None:
        """Look for a batch that may have been made; for a while, since a request for it may still be on its way."""
        until = batch.created_at + 2 * self._batching.poll_interval_s
        while True:
            found = await self._asking(self._opened().find(file, batch.tag))
            if found is not None or time.time() > until:
                return found
            await self._engine.sleep(self._batching.poll_interval_s / 2)

    async def _submit(self, file: BatchFile) -> SubmittedBatch:
        service, batching, tag = self._opened(), self._batching, uuid.uuid4().hex
        keys = tuple(line.key for line in file.lines)
        number = self._ledger.add(tag, keys, self._engine.model)
        try:
            file_id = await service.upload(file, tag)
            self._ledger.note(number, UNCERTAIN, file=file_id)
            made = await service.create(file_id, self._factory.api_endpoint, batching.completion_window, tag)
        except BatchUncertainError as error:
            # The next run finds out whether there is one.
            failure = error.failure
        except CallFailedError as error:
            # It was refused, so there is none.
            self._ledger.drop(number)
            failure = error
        else:
            self._ledger.note(number, SUBMITTED, batch_id=made.id)
            self._usage.batches += 1
            logger.info(
                f"LLM batch {made.id}: {many(len(keys), 'request')} submitted, to be answered within "
                f"{batching.completion_window}."
            )
            return SubmittedBatch(number, tag, SUBMITTED, file_id, made.id, time.time(), keys)
        raise self._stopped_by(failure)

    def _write(self, file: BatchFile, folder: Path) -> SubmittedBatch:
        tag = uuid.uuid4().hex
        path = folder.absolute() / f"requests-{tag[:12]}.jsonl"
        keys = tuple(line.key for line in file.lines)
        number = self._ledger.add(tag, keys, self._engine.model)
        self._ledger.note(number, WRITTEN, file=str(path))
        try:
            folder.mkdir(parents=True, exist_ok=True)
            path.write_bytes(file.content)
        except OSError as error:
            raise DiskError(f"batch_folder: {folder} cannot be written ({error}).") from None
        self._ledger.note(number, BY_HAND)
        return SubmittedBatch(number, tag, BY_HAND, str(path), None, time.time(), keys)

    def _stop_for_files(self, under_way: Iterable[SubmittedBatch]) -> None:
        """Stop if files have to be run by hand before the run can go on."""
        waiting = [batch for batch in under_way if batch.state == BY_HAND and not self._ledger.results(batch.number)]
        if not waiting:
            return
        paths = [str(batch.file) for batch in waiting]
        number = sum(len(batch.keys) for batch in waiting)
        words = requests_written if self._batching.folder is not None else still_to_be_run
        raise LLMUnavailableError(words(paths, number, self._engine.model, self._book.journal.path))

    async def _take(self, batch: SubmittedBatch, calls: Mapping[str, Question[T]]) -> str | None:
        """Wait for a batch and read its responses; return why it was not accepted, None if it was."""
        if batch.state == BY_HAND:
            self._read(batch, self._ledger.results(batch.number), calls, "no_response")
            return None
        state = await self._waited_for(batch)
        if state.status == "failed" and not state.files:
            return self._not_accepted(batch, state, calls)
        reason = state.status if state.status in ("expired", "cancelled") else "no_response"
        self._read(batch, await self._fetched(state), calls, reason)
        return None

    async def _fetched(self, state: BatchState) -> dict[str, BatchResult]:
        """Return the responses of a batch: all that the server says there are, since what is missing is paid again."""
        for _ in range(_FETCHES):
            contents = [await self._asking(self._opened().content(file)) for file in state.files]
            results = read_results(*contents)
            if len(results) >= state.done:
                return results
            await self._engine.sleep(self._batching.poll_interval_s)
            state = await self._asking(self._opened().state(state.id))
        raise LLMUnavailableError(batch_incomplete(state.id, len(results), state.done, self._identity))

    async def _waited_for(self, batch: SubmittedBatch) -> BatchState:
        assert batch.batch_id is not None
        clock, wait = self._engine.clock, self._batching.poll_interval_s
        told_at, told = -_LINE_EVERY_S, ""
        while True:
            try:
                state = await self._opened().state(batch.batch_id)
            except CallFailedError as error:
                failure = error
            else:
                if state.status != told or clock() - told_at >= _LINE_EVERY_S:
                    told, told_at = state.status, clock()
                    logger.info(
                        f"LLM batch {batch.batch_id}: {state.status}, {state.done:,} of {len(batch.keys):,} done."
                    )
                if state.is_final:
                    return state
                await self._engine.sleep(wait)
                wait = min(wait * _SLOWER, _SLOWEST * self._batching.poll_interval_s)
                continue
            if failure.kind is FailureKind.NOT_FOUND:
                raise LLMUnavailableError(batch_unknown(batch.batch_id, failure, self._identity))
            raise self._stopped_by(failure)

    def _not_accepted(self, batch: SubmittedBatch, state: BatchState, calls: Mapping[str, Question[T]]) -> str:
        """Give back the requests of a batch that the server did not accept, which costs nothing."""
        code, message = next(iter(state.errors), ("", "it does not say why"))
        words = f"{code}: {message}" if code else message
        failure = failure_of(None, {"error": {"code": code, "message": message}}, self._mask)
        self._free(batch.keys, calls)
        self._ledger.settle(batch.number, dict.fromkeys(batch.keys, SETTLED))
        if failure.kind is not FailureKind.RATE_LIMITED and "limit" not in f"{code} {message}".lower():
            raise LLMUnavailableError(batch_refused(state.id, words, self._identity))
        self._resubmit("over_limit", len(batch.keys))
        logger.warning(f"LLM batch {state.id} was not accepted ({words}): its requests are submitted again later.")
        return words

    def _read(
        self, batch: SubmittedBatch, results: Mapping[str, BatchResult], calls: Mapping[str, Question[T]], reason: str
    ) -> None:
        """Take the responses of a batch: first the answers, into the journal; then what failed."""
        outcomes: dict[str, str] = {}
        failures: dict[str, CallFailedError | None] = {}
        for key in batch.keys:
            completion, failure = self._completion(results.get(key))
            self._free((key,), calls, completion)
            if completion is not None:
                self._usage.calls += 1
                self._factory.accepted(self._form)
                failed_writes = self._book.journal.write_failures
                outcomes[key] = self._answer(key, completion, calls.get(key))
                # A text that no file can hold is as lost as it is online; all others can be stored later.
                lost = self._book.journal.write_failures > failed_writes
                self._unstored |= lost and encodable([{"content": completion.text}])
            else:
                failures[key] = failure
                outcomes[key] = SETTLED
        if self._unstored:
            raise LLMUnavailableError(
                f"The answers of batch {batch.batch_id or batch.file} cannot be stored in {self._book.journal.path}: "
                "make room there and run the same recipe again; they are read again, and nothing is paid twice."
            )
        for key, failure in failures.items():
            if key in calls:
                outcomes[key] = self._failed(key, calls[key], failure, reason)
        unknown = len(results.keys() - set(batch.keys))
        if unknown and batch.state != BY_HAND:
            what = f"{many(unknown, 'response')} {agree(unknown, 'belongs', 'belong')} to no request"
            logger.warning(f"LLM batch {batch.batch_id}: {what}, and {agree(unknown, 'is', 'are')} not read.")
        # Last: as long as it is not on record, the same responses are read again.
        self._ledger.settle(batch.number, outcomes)
        stopping = next((one for one in failures.values() if one is not None and one.kind in _STOPPING), None)
        if stopping is not None and (len(failures) == len(batch.keys) or stopping.kind is FailureKind.NO_CREDIT):
            raise LLMUnavailableError(unavailable(stopping, self._identity))

    def _completion(self, result: BatchResult | None) -> tuple[Completion | None, CallFailedError | None]:
        """Return the completion in a result, or the failure; neither where the request was never sent."""
        if result is None:
            return None, None
        if not result.is_response:
            failure = failure_of(result.status, result.body, self._mask)
            return None, None if result.status is None and _was_never_sent(result.body) else failure
        reported = error_in(result.body, self._mask, self._factory.response_path.partition(".")[0])
        if reported is not None:
            return None, reported
        return shown(self._factory.read(result.body), self._mask), None

    def _answer(self, key: str, completion: Completion, question: Question[T] | None) -> str:
        """Take an answer; return what became of the request."""
        if question is None:
            # Of another run that was stopped: it is paid for, whoever asks for it.
            if completion.problem is None and not completion.only_reasoning:
                self._book.keep(key, completion)
            self._count_tokens(completion, completion.prompt_tokens or 0)
            return SETTLED
        estimate = estimate_messages(question.asked.messages)
        self._count_tokens(completion, estimate)
        self._note_answer(question.asked, completion, estimate)
        question.count_call()
        question.take(completion)
        # One that is in the journal, to be corrected, counts as a try whenever it is read there.
        return f"{IN_VAIN} {question.reason}" if question.key == key and question.is_open else SETTLED

    def _failed(self, key: str, question: Question[T], failure: CallFailedError | None, reason: str) -> str:
        """Have a request submitted again, or give it up; return what became of it."""
        if failure is not None:
            self._usage.calls += 1
            sent = self._sent(question.params)
            if self._factory.rewrites(failure, sent, self._form) or self._leaves_out(failure, sent):
                return self._resubmit("refused_field", 1)
            if failure.kind in _STOPPING:
                self._give_up(question, FailureReason.API_FAILED, failure.detail)
                # About the account rather than the request: the next run asks again.
                return SETTLED
            if not failure.kind.retryable:
                if self._is_of_recipe(failure):
                    failure = failure.but(detail=f"{failure.detail}: {parameter_cure(failure)}")
                given_up = ABOUT_ONE_REQUEST.get(failure.kind, FailureReason.API_FAILED)
                return self._give_up(question, given_up, failure.detail)
            reason = failure.kind.value
        self._lost_times[key] = self._lost_times.get(key, 0) + 1
        if self._lost_times[key] < self._settings.try_num:
            return self._resubmit(reason, 1)
        words = failure.detail if failure is not None else _NEVER_SENT if reason == "expired" else _NO_RESPONSE
        return self._give_up(question, FailureReason.API_FAILED, words)

    def _give_up(self, question: Question[T], reason: FailureReason, words: str) -> str:
        self._book.words[reason] = words
        question.fail(reason)
        return f"{FAILED} {reason}"

    def _resubmit(self, reason: str, number: int) -> str:
        counts = self._usage.resubmitted
        counts[reason] = counts.get(reason, 0) + number
        return SETTLED

    def _free(
        self, keys: Iterable[str], calls: Mapping[str, Question[T]], completion: Completion | None = None
    ) -> None:
        """Replace what was set aside for requests by what they took."""
        for key in keys:
            used = 0
            if completion is not None:
                estimate = estimate_messages(calls[key].asked.messages) if key in calls else 0
                used = sum(self._tokens_of(completion, estimate))
            self._own_budget.settle(self._reserved.pop(key, 0), used)

    def _opened(self) -> BatchService:
        if self._service is None:
            policy, sleep = self._engine.policy, self._engine.sleep
            self._service = BatchService(self._opened_connection(), policy, sleep)
        return self._service

    def _opened_connection(self) -> Connection:
        if self._connection is None:
            factory = self._factory
            self._connection = open_connection(
                factory.model_params,
                max(factory.timeout_s, self._batching.transfer_timeout_s),
                endpoint=factory.api_endpoint,
                max_bytes=MAX_FILE_BYTES,
            )
        return self._connection

    async def _asking(self, call: Any) -> Any:
        """Await a call to the server; a failure stops the run."""
        try:
            return await call
        except CallFailedError as error:
            failure = error
        raise self._stopped_by(failure)

    def _stopped_by(self, failure: CallFailedError) -> LLMUnavailableError:
        """Return what stops the run; what is under way goes on at the server, and the next run takes it."""
        words = without_batches if failure.kind is FailureKind.NOT_FOUND else unavailable
        return LLMUnavailableError(words(failure, self._identity))


def _was_never_sent(body: Any) -> bool:
    error = body.get("error") if isinstance(body, Mapping) else None
    code = error.get("code") if isinstance(error, Mapping) else None
    return isinstance(code, str) and code in ("batch_expired", "batch_cancelled")
