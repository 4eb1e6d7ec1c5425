"""One wanted answer, over all attempts to get it."""

from __future__ import annotations

from collections.abc import Callable, Iterable, Mapping
from dataclasses import dataclass, field
from typing import TYPE_CHECKING, Any, Generic, TypeVar

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.text.counts import agree
from mergeit_ops.llm.advice import no_answer_after_reasoning
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.failures import shorten
from mergeit_ops.llm.journal import answer_key
from mergeit_ops.llm.journals import AnswerStore
from mergeit_ops.llm.requests import CAP_PARAMS, LLMRequest, completion_cap
from mergeit_ops.llm.servers import same_model
from mergeit_ops.llm.usage import Usage

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["SHOWN_CHARS", "Book", "Question", "answered_by", "encodable", "words_of"]

T = TypeVar("T")

SHOWN_CHARS = 120
"""Characters shown of an unreadable answer."""


@dataclass
class Book:
    """Shared state of all questions of a run.

    :param engine: engine, with its settings and its memory from run to run.
    :param usage: the counters of the run, which are updated.
    :param journal: open.
    :param words: the latest problem of each reason.
    """

    engine: LLMEngine
    usage: Usage
    journal: AnswerStore
    words: dict[FailureReason, str] = field(default_factory=dict)

    def __post_init__(self) -> None:
        self.identity = self.engine.backend_factory.identity()
        self.sampling_params = self.engine.backend_factory.sampling_params

    def key(self, request: LLMRequest[Any], index: int) -> str:
        """Return the key of an answer in the journal.

        :param request: the request.
        :param index: number of the candidate, from 0.
        """
        return answer_key(self.identity, request.messages, self.sampling_params, index)

    def other_model(self, named: str | None) -> str | None:
        """Return the name of the model that answered, if it is another than the one asked for; None else.

        :param named: by the server, or by the journal; None if nobody names one.
        """
        if named is None or same_model(self.engine.model, named):
            return None
        return shorten(named)[:SHOWN_CHARS]

    def keep(self, key: str, completion: Completion) -> None:
        """Store an answer.

        :param key: from `key`.
        :param completion: completion with a readable answer, or with one to be corrected.
        """
        failures = self.journal.write_failures
        used = (completion.prompt_tokens, completion.completion_tokens)
        self.journal.put(key, completion.text, used, model=self.other_model(completion.model) or self.engine.model)
        if self.journal.path is not None and self.journal.write_failures == failures:
            self.engine.kept.add(bytes.fromhex(key))


class Question(Generic[T]):
    """One candidate of a request. It is asked again as long as its answers are unusable and `try_num` allows it.

    :param book: of the run.
    :param request: the request.
    :param index: number of the candidate, from 0.
    """

    def __init__(self, book: Book, request: LLMRequest[T], index: int) -> None:
        self._book = book
        self._request = request
        self._index = index
        self._attempt = 0
        self._earlier = 0
        self._reason = FailureReason.UNPARSABLE
        self._answers: list[T] = []
        self._claimed: str | None = None
        self.asked = request
        """The request with the corrections of earlier answers."""
        self.key = book.key(request, index)
        self.answered_by: str | None = None
        """The model that gave the answer, if it is another than the one asked for."""
        self.cut_off = 0
        """Number of times that an answer was cut off."""

    @property
    def result(self) -> T | FailureReason:
        """The answer, or why there is none. Only valid if no call is needed."""
        return self._answers[0] if self._answers else self._reason

    @property
    def is_open(self) -> bool:
        """Whether it has no answer yet."""
        return not self._answers

    @property
    def reason(self) -> FailureReason:
        """Why its latest answer could not be used, or why there is none."""
        return self._reason

    @property
    def was_answered(self) -> bool:
        """Whether it has had an answer, usable or not."""
        return self._attempt > 0

    @property
    def params(self) -> Mapping[str, Any]:
        """The sampling parameters; if they have a seed, every answer gets a different one."""
        return _bounded(self._draw_params(), self._request, self.cut_off)

    def needs_a_call(self, tries: Callable[[str], int] = lambda key: 0) -> bool:
        """Read the journal; return whether the model must be asked.

        :param tries: function that returns, for a key, how often earlier runs of the same work have asked that question
            without success.
        """
        while self._may_go_on():
            found = self._book.journal.get_with_model(self.key)
            if found is None or not self._uses(found):
                self._earlier = tries(self.key)
                return self._attempt + self._earlier < self._book.engine.settings.try_num
        return False

    async def claims_a_call(self) -> bool:
        """Read the journal, and wait for other processes with the same question; return whether the model must be asked
        here.

        If so, the others wait until `take` stores a usable answer, or `give_up_claim` is called.
        """
        while self._may_go_on():
            found = await self._book.journal.claim(self.key)
            if found is None or not self._uses(found):
                self._claimed = self.key if found is None else None
                return True
        return False

    def give_up_claim(self) -> None:
        """Let other processes ask the question if it has no answer."""
        if self._claimed is not None:
            self._book.journal.release(self._claimed)
            self._claimed = None

    def _may_go_on(self) -> bool:
        return not self._answers and self._attempt < self._book.engine.settings.try_num

    def _uses(self, found: tuple[str, str | None]) -> bool:
        """Take a stored answer, or go on with its correction; return False if it is of no use."""
        stored, named = found
        book = self._book
        self.answered_by = book.other_model(named)
        try:
            answer = self._request.parse(stored)
        except ReplyError as error:
            self._reason = error.reason
            if not error.correction:
                return False
            # It is paid for and refused again, so its correction is next.
            book.usage.cache_hits += 1
            self._correct(stored, error)
            self._attempt += 1
        else:
            book.usage.cache_hits += 1
            book.engine.kept.add(bytes.fromhex(self.key))
            self._answers.append(answer)
        return True

    def count_call(self) -> None:
        """Record that the model is asked."""
        self._book.usage.reasks += self._attempt > 0

    def fail(self, reason: FailureReason) -> None:
        """Give up.

        :param reason: why.
        """
        self._reason = reason
        self._attempt = self._book.engine.settings.try_num

    def take(self, completion: Completion) -> None:
        """Read an answer. A usable one is in the journal when this returns.

        :param completion: the model's answer.
        """
        book = self._book
        try:
            if completion.problem is not None:
                raise ReplyError(completion.problem)
            if completion.only_reasoning:
                raise ReplyError(FailureReason.EMPTY)
            answer = self._request.parse(completion.text)
        except ReplyError as error:
            self._attempt += 1
            self._reason = error.reason
            book.words[error.reason] = _told(error.correction) or words_of(completion)
            self.cut_off += error.reason is FailureReason.TRUNCATED
            if error.correction:
                self._keep(completion)
                self._correct(completion.text, error)
            return
        self._keep(completion)
        self.answered_by = book.other_model(completion.model)
        self._answers.append(answer)

    def _keep(self, completion: Completion) -> None:
        self._book.keep(self.key, completion)
        self._claimed = None

    def _correct(self, text: str, error: ReplyError) -> None:
        self._book.words[error.reason] = _told(error.correction)
        self.asked = self._request.corrected(text, error.correction)
        self.key = self._book.key(self.asked, self._index)

    def _draw_params(self) -> Mapping[str, Any]:
        params = self._book.sampling_params
        extra = params.get("extra_body") or {}
        seed = extra.get("seed", params.get("seed"))
        attempt = self._attempt + self._earlier
        if not isinstance(seed, int) or (self._index == 0 and attempt == 0):
            return params
        own = {"seed": seed + self._index + 1000 * attempt}
        return {**params, "extra_body": {**extra, **own}} if "seed" in extra else {**params, **own}


def _told(correction: str) -> str:
    return correction and f"the model was told: {correction}"


def answered_by(questions: Iterable[Question[Any]]) -> str | None:
    """Return the model that answered some questions, if it is another than the one asked for; None else.

    :param questions: the candidates of a request; if several models answered, the first counts.
    """
    named = (question.answered_by for question in questions if not question.is_open)
    return next((name for name in named if name is not None), None)


def _bounded(params: Mapping[str, Any], request: LLMRequest[Any], cut_off: int) -> Mapping[str, Any]:
    """Return the sampling parameters with the request's own limit, if it is lower.

    :param params: sampling parameters.
    :param request: the request.
    :param cut_off: number of times that an answer was cut off; the limit doubles each time.
    """
    if request.max_tokens is None:
        return params
    bound, cap = request.max_tokens * 2**cut_off, completion_cap(params)
    if cap is not None and cap <= bound:
        return params
    extra = params.get("extra_body") or {}
    own = {name: bound for name in CAP_PARAMS if name in params}
    in_extra = {name: bound for name in CAP_PARAMS if name in extra}
    bounded = {**params, **(own if own or in_extra else {CAP_PARAMS[0]: bound})}
    return {**bounded, "extra_body": {**extra, **in_extra}} if in_extra else bounded


def encodable(messages: Iterable[Mapping[str, str]]) -> bool:
    """Return whether a conversation can be sent as UTF-8.

    :param messages: chat turns with `content`.
    """
    try:
        for turn in messages:
            turn["content"].encode("utf-8")
    except UnicodeEncodeError:
        return False
    return True


def words_of(completion: Completion) -> str:
    """Return a description of what a model returned instead of an answer.

    :param completion: the model's response.
    """
    ended = f"finish_reason {shorten(completion.finish_reason or 'unknown')[:SHOWN_CHARS]!r}"
    if completion.completion_tokens is not None:
        ended += f" after {completion.completion_tokens} {agree(completion.completion_tokens, 'token', 'tokens')}"
    if completion.only_reasoning:
        return no_answer_after_reasoning(f"reasoning text ({ended})")
    if completion.problem is FailureReason.NO_CHOICES:
        return "the response has no text at response_path"
    if completion.refusal:
        return shorten(completion.refusal)
    text = shorten(completion.text if completion.beginning is None else completion.beginning)
    text = text if len(text) <= SHOWN_CHARS else f"{text[:SHOWN_CHARS]}…"
    return f"{ended}, the answer begins with {text!r}" if text else f"{ended}, the content is empty"
