"""Driving the questions of a chain by hand."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from mergeit_ops.core.rewriting.chains import Chain, ChainCall
from mergeit_ops.core.sample import Sample


def driven(chain: Chain, answer: Callable[[ChainCall], str]) -> tuple[Sample, list[ChainCall]]:
    """Return what a chain makes of some answers, and its questions."""
    questions: list[ChainCall] = []
    reply: Any = None
    while True:
        try:
            questions.append(chain.send(reply))
        except StopIteration as end:
            return end.value, questions
        reply = questions[-1].parse(answer(questions[-1]))


def expected(chain: Chain) -> tuple[Sample, list[ChainCall]]:
    """Return the same where each answer is the one that a dry run expects."""
    questions: list[ChainCall] = []
    reply: Any = None
    while True:
        try:
            questions.append(chain.send(reply))
        except StopIteration as end:
            return end.value, questions
        reply = questions[-1].expected
