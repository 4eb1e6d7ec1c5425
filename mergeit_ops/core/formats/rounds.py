"""Conversations as questions and their answers."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import replace

from mergeit_ops.core.sample import Round, Sample

__all__ = ["with_rounds"]


def with_rounds(sample: Sample, said: Iterable[tuple[str, str]]) -> Sample:
    """Return a sample with the rounds of its conversation, or unchanged if it has one question and one answer.

    A blank answer, such as one that only calls a tool, does not count; its question becomes part of the next round. A
    question after the last answer belongs to no round.

    :param sample: the texts of the conversation, joined.
    :param said: questions and answers in order; either may be empty.
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
