"""The text before a text whose loss is measured: the prompt of a response, and of an instruction."""

from __future__ import annotations

import re
from collections.abc import Mapping
from dataclasses import dataclass, fields

from mergeit_ops.core.sample import Sample

__all__ = ["ASKS_BACK", "LOSS_PROMPTS", "LossPrompt", "question_text"]


_FIELD = re.compile(r"\{(instruction|input|response)\}")


@dataclass(frozen=True)
class LossPrompt:
    """Prompts with the fields `{instruction}`, `{input}` and `{response}`.

    :param without_input: the text before the response to an instruction without an input.
    :param with_input: the same, with an input.
    :param alone: the text before a response without its instruction.
    :param reverse: the text before the instruction of a response.
    :param reverse_alone: the text before an instruction without its response.
    :param later: in a conversation, the text between a response and the next one, with the `{instruction}` of the next
        one; empty: a blank line and `without_input`.
    """

    without_input: str
    with_input: str
    alone: str = ""
    reverse: str = ""
    reverse_alone: str = ""
    later: str = ""

    @classmethod
    def of(cls, texts: Mapping[str, str]) -> LossPrompt:
        """Return a custom prompt.

        :param texts: maps fields to texts, at least `without_input` and `with_input`.
        :raises ValueError: if a field is unknown or missing.
        """
        known = [field.name for field in fields(cls)]
        if unknown := sorted(set(texts) - set(known)):
            raise ValueError(f"has no field {', '.join(map(repr, unknown))}; its fields are {', '.join(known)}")
        for name in ("without_input", "with_input"):
            if not isinstance(texts.get(name), str) or "{instruction}" not in texts[name]:
                raise ValueError(f"needs the field {name!r}, a text with {{instruction}}")
        if texts.get("later") and "{instruction}" not in texts["later"]:
            raise ValueError("has a field 'later' without {instruction}")
        return cls(**texts)

    def before_response(self, sample: Sample) -> str:
        """Return the text before the response of a row."""
        return _filled(self.with_input if sample.input else self.without_input, sample)

    def before_later_response(self, question: str) -> str:
        """Return the text between a response and the next one of a conversation.

        :param question: the question of the next response.
        """
        return _filled(self.later or f"\n\n{self.without_input}", Sample(question, "", ""))

    def before_question(self, sample: Sample) -> str:
        """Return the text before the instruction of a row: its response, and a request for the instruction."""
        return _filled(self.reverse, sample)


def _filled(template: str, sample: Sample) -> str:
    """Return a template filled with the texts of a row. Braces in the texts stay unchanged."""
    texts = {"instruction": sample.instruction, "input": sample.input, "response": sample.output}
    return _FIELD.sub(lambda field: texts[field[1]], template)


def question_text(sample: Sample) -> str:
    """Return the instruction of a row and, on a separate line, its input if there is one."""
    return f"{sample.instruction}\n{sample.input}" if sample.input else sample.instruction


_VICUNA = (
    "A chat between a curious user and an artificial intelligence assistant. The assistant gives helpful, detailed, "
    "and polite answers to the user's questions. "
)
ASKS_BACK = "The text below is a response. Write the instruction that it responds to."
"""A request for the instruction of a response."""

LOSS_PROMPTS: Mapping[str, LossPrompt] = {
    "plain": LossPrompt(
        "{instruction}\n", "{instruction}\n{input}\n", reverse="{response}\n", later="\n{instruction}\n"
    ),
    "alpaca": LossPrompt(
        without_input="Below is an instruction that describes a task. Write a response that appropriately completes "
        "the request.\n\n### Instruction:\n{instruction}\n\n### Response:",
        with_input="Below is an instruction that describes a task, paired with an input that provides further context. "
        "Write a response that appropriately completes the request.\n\n### Instruction:\n{instruction}\n\n"
        "### Input:\n{input}\n\n### Response:",
        alone="### Response:",
        reverse=ASKS_BACK + "\n\n### Response:\n{response}\n\n### Instruction:",
        reverse_alone="### Instruction:",
        later="\n\n### Instruction:\n{instruction}\n\n### Response:",
    ),
    "vicuna": LossPrompt(
        without_input=_VICUNA + "USER: {instruction} ASSISTANT:",
        with_input=_VICUNA + "USER: {instruction}\n{input} ASSISTANT:",
        alone="ASSISTANT:",
        reverse=_VICUNA + "USER: " + ASKS_BACK + "\n{response} ASSISTANT:",
        reverse_alone="ASSISTANT:",
        later=" USER: {instruction} ASSISTANT:",
    ),
}
"""Prompts by name. `plain` is the prompt of Superfiltering; `alpaca` and `vicuna` are the prompts of the models with
these names."""
