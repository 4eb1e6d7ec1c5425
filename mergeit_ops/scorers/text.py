"""Shared rules of the scorers that read texts: which rows are blank, and what a tokenizer can take."""

from __future__ import annotations

from mergeit_ops.core.text.characters import encodable

__all__ = ["blank_reason", "encodable"]


def blank_reason(question: str, response: str | None) -> str | None:
    """Return why no model can score a row, or None.

    :param question: instruction and input.
    :param response: the answer to it; None if it does not matter.
    :return: `empty_response` if the response has no letter and no digit, `empty_instruction` if the question is blank.
    """
    # Letters and digits of any script: dots and dashes alone are no answer, however high a model scores them.
    if response is not None and not any(character.isalnum() for character in response):
        return "empty_response"
    return None if question.strip() else "empty_instruction"
