"""What scorers that read the texts of a row agree on: which rows say nothing, and what a tokenizer can take."""

from __future__ import annotations

from mergeit_ops.core.text.characters import encodable

__all__ = ["blank_reason", "encodable"]


def blank_reason(question: str, response: str | None) -> str | None:
    """Return why a row cannot be scored whatever the model, or None.

    :param question: instruction and input.
    :param response: the answer to it; None where it is not looked at.
    :return: `empty_response` when it has no letter and no digit, `empty_instruction` when the question is blank.
    """
    # Letters and digits of any script: dots and dashes alone answer nothing, however well a model likes them.
    if response is not None and not any(character.isalnum() for character in response):
        return "empty_response"
    return None if question.strip() else "empty_instruction"
