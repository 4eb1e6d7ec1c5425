"""Chains of questions: each answer goes to its own chain, and each chain has one end."""

from mergeit_ops.core.merging.prompts import prompt_sha256
from mergeit_ops.core.merging.replies import FailureReason
from mergeit_ops.core.rewriting.chains import ChainCall
from mergeit_ops.core.sample import Sample
from mergeit_ops.jobs.chains import ChainEnd, RunningChains
from mergeit_ops.llm.requests import LLMOutcome

ONE, TWO, NONE = (Sample(text, "", "x") for text in ("one", "two", "none"))


def question(text):
    return ChainCall(({"role": "user", "content": text},), str, text, 1)


def chain(sample, length):
    text = sample.instruction
    for _ in range(length):
        text = yield question(text)
    return Sample(text, "", "x")


def test_chains_go_on_in_any_order_and_end_with_what_they_made():
    running = RunningChains({ONE: chain(ONE, 2), TWO: chain(TWO, 1), NONE: chain(NONE, 0)})
    first = dict(running.first_questions())
    assert {sample: asked.expected for sample, asked in first.items()} == {ONE: "one", TWO: "two"}
    assert running.ends == {NONE: ChainEnd(NONE)}
    assert running.next_question(LLMOutcome(TWO, ("second",))) is None
    assert running.next_question(LLMOutcome(ONE, ("more",))).expected == "more"
    assert running.next_question(LLMOutcome(ONE, ("most",))) is None
    # The hash is that of the first question of each.
    assert running.ends[ONE] == ChainEnd(Sample("most", "", "x"), prompt_sha256=prompt_sha256(first[ONE].messages))
    assert running.ends[TWO] == ChainEnd(Sample("second", "", "x"), prompt_sha256=prompt_sha256(first[TWO].messages))


def test_a_chain_ends_where_a_question_has_no_answer():
    running = RunningChains({ONE: chain(ONE, 2)})
    list(running.first_questions())
    assert running.next_question(LLMOutcome(ONE, (), FailureReason.BUDGET)) is None
    assert running.ends == {ONE: ChainEnd(error="budget")}
