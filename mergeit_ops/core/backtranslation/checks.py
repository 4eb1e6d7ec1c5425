"""Check, without a model, a sample that was made from a text."""

from __future__ import annotations

import re

from mergeit_ops.core.merging.refusals import refuses_to_help
from mergeit_ops.core.merging.replies import FailureReason, ReplyError
from mergeit_ops.core.rewriting.checks import check_text
from mergeit_ops.core.sample import Sample

__all__ = ["check_sample"]

_TEXT = r"(?:text|passage|document|article|paragraph|excerpt)"
_POINTER = re.compile(
    rf"\b(?:(?:the|this)\s+(?:above|given|provided|preceding|source|original)\s+{_TEXT}|"
    rf"(?:the|this)\s+(?:following\s+)?{_TEXT}\s+(?:above|below|provided|given)|"
    rf"(?:according\s+to|based\s+on)\s+(?:the|this)\s+{_TEXT})\b",
    re.IGNORECASE,
)


def check_sample(sample: Sample, text: str) -> None:
    """Refuse a sample that does not make sense without the text, is in another language, or contains a new web address.

    Languages are compared only by their scripts. Pointers such as "the text above" are recognised only in English, and
    are allowed if the sample has an input, to which they may refer.

    :param sample: sample that a model made from the text.
    :param text: the text.
    :raises ReplyError: `echo`, `refused`, `language`, `new_url` or `procedure`; all but the second with a correction
        for the model.
    """
    if _normal(sample.instruction) == _normal(text):
        raise ReplyError(
            FailureReason.ECHO, "You gave back the text as the instruction. Write what somebody asks who gets it."
        )
    if any(refuses_to_help(part) and not refuses_to_help(text) for part in (sample.instruction, sample.output)):
        raise ReplyError(FailureReason.REFUSED)
    pointer = None if sample.input.strip() else _POINTER.search(sample.instruction)
    if pointer is not None and pointer[0].lower() not in text.lower():
        raise ReplyError(
            FailureReason.PROCEDURE,
            f'Your instruction speaks of a text that its reader does not have ("{pointer[0]}"). Answer again, with an '
            "instruction that stands for itself.",
        )
    known = Sample(text, text, text)
    for name in ("instruction", "input", "output"):
        if (written := getattr(sample, name)) != text:
            check_text(written, known, name)


def _normal(text: str) -> str:
    return " ".join(text.split())
