"""One answer through all its attempts: read from the journal or a model, corrected, kept, or given up."""

from __future__ import annotations

import asyncio

import pytest

from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.journal import Journal
from mergeit_ops.llm.question import Book, Question, encodable, words_of
from mergeit_ops.llm.usage import Usage
from tests.llm.conftest import scripted_engine, text_request


def parse(text: str) -> str:
    if text == "short":
        raise ReplyError(FailureReason.LENGTH, "Longer, please.")
    if text == "bad":
        raise ReplyError(FailureReason.UNPARSABLE)
    return text


@pytest.fixture
def book(tmp_path):
    with Journal(tmp_path / "answers.db") as journal:
        yield Book(scripted_engine(None, sampling_params={"seed": 7}), Usage(), journal)


def question(book: Book, index: int = 0, **fields) -> Question[str]:
    return Question(book, text_request("q", parse=parse, **fields), index)


def test_an_answer_is_kept_before_it_is_reported_and_found_again(book):
    first = question(book)
    assert first.needs_a_call()
    first.take(Completion("fine"))
    assert not first.needs_a_call()
    assert first.result == "fine"
    again = question(book)
    assert not again.needs_a_call()
    assert (again.result, book.usage.cache_hits) == ("fine", 1)


def test_answers_without_use_are_asked_for_again_up_to_try_num(book):
    one = question(book)
    for _ in range(3):
        assert one.needs_a_call()
        one.take(Completion("bad"))
    assert not one.needs_a_call()
    assert one.result is FailureReason.UNPARSABLE


def test_with_a_claim_the_journal_is_read_in_the_same_way(book):
    async def story():
        first, second = question(book), question(book)
        assert await first.claims_a_call()
        first.take(Completion("short"))
        assert await second.claims_a_call()
        assert second.key == first.key
        second.take(Completion("long enough"))
        assert not await first.claims_a_call()
        assert first.result == second.result == "long enough"

    asyncio.run(story())


class _Claimed:
    """A journal without answers, which takes down who gives a claim up."""

    path = None
    write_failures = 0

    def __init__(self):
        self.released = []

    async def claim(self, key):
        return None

    def put(self, key, *answer, model):
        pass

    def release(self, key):
        self.released.append(key)


def test_a_question_without_an_answer_gives_its_claim_up_once():
    journal = _Claimed()
    engine = scripted_engine(None)

    async def story():
        answered, failed = (question(Book(engine, Usage(), journal)) for _ in range(2))
        for one in (answered, failed):
            assert await one.claims_a_call()
        answered.take(Completion("fine"))
        failed.take(Completion("bad"))
        for _ in range(2):
            answered.give_up_claim()
            failed.give_up_claim()
        assert journal.released == [failed.key]

    asyncio.run(story())


def test_tries_of_earlier_runs_count(book):
    one = question(book)
    assert one.needs_a_call(lambda key: 2)
    one.take(Completion("bad"))
    assert not one.needs_a_call(lambda key: 2)


def test_a_correction_has_a_key_of_its_own_and_is_found_in_the_journal(book):
    one = question(book)
    key = one.key
    one.take(Completion("short"))
    assert one.key != key
    assert [turn["role"] for turn in one.asked.messages] == ["user", "assistant", "user"]
    again = question(book)
    assert again.needs_a_call()
    assert again.key == one.key
    one.take(Completion("long enough"))
    assert not again.needs_a_call()
    assert again.result == "long enough"


def test_each_attempt_and_candidate_has_a_seed_of_its_own(book):
    one, other = question(book), question(book, index=2)
    assert (one.params["seed"], other.params["seed"]) == (7, 9)
    one.take(Completion("bad"))
    assert one.params["seed"] == 1007


def test_a_bound_doubles_when_an_answer_is_cut_off(book):
    one = question(book, max_tokens=10)
    assert one.params["max_tokens"] == 10
    one.take(Completion("fi", problem=FailureReason.TRUNCATED))
    assert (one.params["max_tokens"], one.cut_off) == (20, 1)


def test_one_that_is_given_up_says_why(book):
    one = question(book)
    one.fail(FailureReason.BUDGET)
    assert not one.needs_a_call()
    assert one.result is FailureReason.BUDGET


def test_reasoning_alone_is_no_answer(book):
    one = question(book)
    one.take(Completion("", only_reasoning=True))
    assert one.reason is FailureReason.EMPTY
    assert "reasoning" in book.words[FailureReason.EMPTY]


def test_a_lone_surrogate_cannot_be_sent():
    assert encodable([{"content": "é"}])
    assert not encodable([{"content": "\ud800"}])


def test_what_came_in_place_of_an_answer_is_quoted_shortly():
    assert words_of(Completion("x" * 500, "stop", beginning="x" * 500)).endswith("x…'")
    assert words_of(Completion("", "stop")) == "finish_reason 'stop', the content is empty"
    assert words_of(Completion("", refusal="I will not.")) == "I will not."


def test_another_model_that_answered_is_named_also_from_the_journal(book):
    asked_for = book.engine.model
    for named, told in (("another", "another"), (asked_for, None), (None, None)):
        one = Question(book, text_request(f"named {named}", parse=parse), 0)
        assert one.needs_a_call()
        one.take(Completion("fine", model=named))
        again = Question(book, text_request(f"named {named}", parse=parse), 0)
        assert not again.needs_a_call()
        assert one.answered_by == again.answered_by == told
