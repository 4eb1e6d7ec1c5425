"""Conversations as the text that a local model continues: its own chat template, whatever that can and cannot do."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.errors import LLMUnavailableError

__all__ = ["PLAIN_STOP", "answer_heading", "chat_prompt", "end_of_turn", "without_thoughts"]

PLAIN_STOP = "\n### "
"""What ends the answer of a model without a chat template: the next turn, which it would go on to write itself."""

_THOUGHTS = ("<think>", "</think>")


def chat_prompt(tokenizer: Any, messages: Sequence[Mapping[str, str]], template: Mapping[str, Any]) -> str:
    """Return a conversation as the text the model continues.

    Models that think before they answer are told not to, as far as their template can. A template that refuses a
    system turn, as Gemma's does, or leaves it out, gets its text as the beginning of the first user turn.

    :param tokenizer: of the model; one without a chat template gets the roles as plain headings.
    :param messages: chat turns.
    :param template: further variables of the template; they go before ours.
    :raises LLMUnavailableError: when the template takes the conversation in neither form.
    """
    turns = [dict(turn) for turn in messages]
    if not tokenizer.chat_template:
        return "".join(f"### {turn['role']}\n{turn['content']}\n\n" for turn in turns) + "### assistant\n"
    variables = {"enable_thinking": False, **template}
    refusal: Exception | None = None
    try:
        text = _rendered(tokenizer, turns, variables)
        if all(turn["content"].strip() in text for turn in turns if turn["role"] == "system"):
            return text
    except Exception as error:  # whatever a template raises: it is a program of its author
        refusal = error
    try:
        return _rendered(tokenizer, _folded(turns), variables)
    except Exception as error:
        raise LLMUnavailableError(
            f"The chat template of the model fails ({refusal or error}): take a model that is made for chats, or mend "
            "its template."
        ) from error


def answer_heading(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """Return what stands between a conversation and its answer, such as the heading of the assistant's turn.

    :param tokenizer: see `chat_prompt`.
    :param messages: chat turns.
    """
    if not tokenizer.chat_template:
        return "### assistant\n"
    turns = _folded([dict(turn) for turn in messages])
    asked = str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=False))
    whole = _rendered(tokenizer, turns, {"enable_thinking": False})
    return whole[len(asked) :] if whole.startswith(asked) else ""


def end_of_turn(tokenizer: Any) -> int | None:
    """Return the token with which the chat template ends an answer; None when there is none.

    Models fine-tuned from a base model often have the base's generation config, which does not know it.

    :param tokenizer: of the model.
    """
    if not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": "question"}, {"role": "assistant", "content": "answer"}]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception:  # the conversations themselves will show what the template cannot do
        return None
    behind = tokenizer(text.rpartition("answer")[2].lstrip(), add_special_tokens=False)["input_ids"]
    return int(behind[0]) if behind and behind[0] in tokenizer.added_tokens_decoder else None


def without_thoughts(prompt: str, answer: str) -> str:
    """Return an answer without the block of thoughts that it opens with.

    :param prompt: the text that was continued; some templates end in the opening tag themselves.
    :param answer: what the model wrote. A block that is not closed stays: there is no answer behind it.
    """
    opening, closing = _THOUGHTS
    if closing in answer and (answer.lstrip().startswith(opening) or prompt.rstrip().endswith(opening)):
        return answer.partition(closing)[2].lstrip()
    return answer


def _rendered(tokenizer: Any, turns: list[dict[str, str]], variables: Mapping[str, Any]) -> str:
    return str(tokenizer.apply_chat_template(turns, tokenize=False, add_generation_prompt=True, **variables))


def _folded(turns: list[dict[str, str]]) -> list[dict[str, str]]:
    system = "\n\n".join(turn["content"] for turn in turns if turn["role"] == "system")
    rest = [turn for turn in turns if turn["role"] != "system"]
    if system and rest:
        rest[0] = {**rest[0], "content": f"{system}\n\n{rest[0]['content']}"}
    return rest
