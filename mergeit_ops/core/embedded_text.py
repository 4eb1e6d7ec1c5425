"""The text of a sample to embed."""

from __future__ import annotations

from mergeit_ops.core.sample import Sample

__all__ = ["EMBEDDED_TEXTS", "embedded_text"]

EMBEDDED_TEXTS = ("user", "all", "last")
"""Choices: all questions of a conversation, its questions and answers, or its last question."""


def embedded_text(sample: Sample, choice: str) -> str:
    """Return the text of a sample to embed.

    :param sample: an instruction and its answer, or a conversation.
    :param choice: one of `EMBEDDED_TEXTS`. For one question and one answer, `last` is the same as `user`. `last` takes
        the last answered question.
    :return: the text; blank for a sample without a question, whatever its answer.
    """
    query = sample.query
    if choice == "user" or not query.strip():
        return query
    if choice == "last":
        return (sample.rounds[-1].question.strip() if sample.rounds else "") or query
    said = [text for part in sample.rounds for text in part] or [query, sample.output]
    return "\n".join(text.strip() for text in said if text.strip())
