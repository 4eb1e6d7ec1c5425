"""Conversations as questions and their answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mergeit_ops.core.sample import Round, Sample

__all__ = ["with_rounds"]


def with_rounds(sample: Sample, said: Iterable[tuple[str, str]]) -> Sample:
    """Return a sample with the rounds of its conversation, or as it is where it is one question and one answer.

    A blank answer is none, such as one that only calls a tool: what it was asked stands before the next answer. A
    question behind the last answer belongs to no round.

    :param sample: the texts of the conversation, joined.
    :param said: questions and answers in their order; either may be empty.
    """
    rounds: list[Round] = []
    asked: list[str] = []
    for question, answer in said:
        if question:
            asked.append(question)
        if answer.strip():
            rounds.append(Round("\n".join(asked), answer))
            asked = []
    if rounds == [(sample.instruction, sample.output)]:
        return sample
    return replace(sample, rounds=tuple(rounds))
