"""Turn conversations into the text that a local model continues, by its own chat template."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from typing import Any

from mergeit_ops.errors import LLMUnavailableError

__all__ = ["PLAIN_STOP", "answer_heading", "chat_prompt", "end_of_turn", "without_thoughts"]

PLAIN_STOP = "\n### "
"""Text that ends the answer of a model without a chat template: the next turn, which the model would write itself."""

_THOUGHTS = ("<think>", "</think>")


def chat_prompt(tokenizer: Any, messages: Sequence[Mapping[str, str]], template: Mapping[str, Any]) -> str:
    """Return a conversation as the text that the model continues.

    Thinking is turned off if the template supports it. If a template refuses a system turn, like Gemma's, or leaves it
    out, its text is put at the beginning of the first user turn.

    :param tokenizer: tokenizer of the model; without a chat template, the roles become plain headings.
    :param messages: chat turns.
    :param template: further variables of the template; they take precedence over ours.
    :raises LLMUnavailableError: if the template accepts the conversation in neither form.
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
    except Exception as error:  # a template is a program and may raise anything
        refusal = error
    try:
        return _rendered(tokenizer, _folded(turns), variables)
    except Exception as error:
        raise LLMUnavailableError(
            f"The chat template of the model fails ({refusal or error}): use a model that is made for chats, or repair "
            "its template."
        ) from error


def answer_heading(tokenizer: Any, messages: Sequence[Mapping[str, str]]) -> str:
    """Return the text between a conversation and its answer, such as the heading of the assistant's turn.

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
    """Return the token with which the chat template ends an answer; None if there is none.

    Models fine-tuned from a base model often have the generation config of the base, which does not contain this token.

    :param tokenizer: of the model.
    """
    if not tokenizer.chat_template:
        return None
    turns = [{"role": "user", "content": "question"}, {"role": "assistant", "content": "answer"}]
    try:
        text = str(tokenizer.apply_chat_template(turns, tokenize=False))
    except Exception:  # the conversations will show what the template cannot do
        return None
    behind = tokenizer(text.rpartition("answer")[2].lstrip(), add_special_tokens=False)["input_ids"]
    return int(behind[0]) if behind and behind[0] in tokenizer.added_tokens_decoder else None


def without_thoughts(prompt: str, answer: str) -> str:
    """Return an answer without the block of thoughts at its beginning.

    :param prompt: the text that was continued; some templates end in the opening tag.
    :param answer: the model's text. A block that is not closed stays, because no answer follows it.
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
