"""Rows as tokens for a student. The loss covers only the marked tokens: the answers of the assistant."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from itertools import accumulate
from typing import Any

from mergeit_ops.core.formats.base import one_turn
from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.core.text.characters import encodable
from mergeit_ops.llm.chat_prompt import chat_prompt
from mergeit_ops.training.conversations import Conversation

__all__ = ["EncodedRow", "EncodedText", "RowEncoder"]

_LARGEST_QUESTION = 0.75
"""Share of the maximum length. A longer question leaves too little room for an answer."""


@dataclass(frozen=True)
class EncodedText:
    """A text as tokens.

    :param tokens: token ids.
    :param answers: start and stop of each answer, ascending. No answer starts at 0, since the first token has no
        prediction.
    """

    tokens: tuple[int, ...]
    answers: tuple[tuple[int, int], ...]

    @property
    def answer_tokens(self) -> int:
        """Return the number of tokens that the loss covers."""
        return sum(stop - first for first, stop in self.answers)

    def first(self, answer_tokens: int) -> EncodedText:
        """Return the beginning of the text with this number of answer tokens.

        :param answer_tokens: at least 1.
        """
        kept: list[tuple[int, int]] = []
        for first, stop in self.answers:
            if answer_tokens:
                kept.append((first, min(stop, first + answer_tokens)))
                answer_tokens -= kept[-1][1] - first
        return EncodedText(self.tokens[: kept[-1][1]], tuple(kept))


@dataclass(frozen=True)
class EncodedRow:
    """A row as tokens.

    A row is usually one text. It has one text for each answer if the chat template writes earlier answers differently
    from the last one.

    :param texts: at least one text, each with answers.
    :param cut: whether the end of the row is cut off.
    :param calls_lost: whether the row has tool calls that the chat template does not write.
    """

    texts: tuple[EncodedText, ...]
    cut: bool = False
    calls_lost: bool = False

    @property
    def answer_tokens(self) -> int:
        """Return the number of tokens that the loss covers."""
        return sum(text.answer_tokens for text in self.texts)

    def first(self, answer_tokens: int) -> EncodedRow:
        """Return the beginning of the row with this number of answer tokens.

        :param answer_tokens: from 1 to the number that the row has.
        """
        before = [0, *accumulate(text.answer_tokens for text in self.texts)]
        kept = [
            text.first(min(text.answer_tokens, answer_tokens - start))
            for text, start in zip(self.texts, before, strict=False)
            if start < answer_tokens
        ]
        return replace(self, texts=tuple(kept))


class RowEncoder:
    """Encodes rows with a student's chat template. Without a template, the speakers become headings.

    :param tokenizer: tokenizer of the student.
    :param most_tokens: maximum tokens of a text.
    """

    def __init__(self, tokenizer: Any, most_tokens: int) -> None:
        self._tokenizer = tokenizer
        self.most_tokens = most_tokens
        self.has_template = bool(tokenizer.chat_template)
        self._ending = self._behind_answers()
        first = list(tokenizer("a", verbose=False)["input_ids"])[:1]
        writes_start = not self.has_template and first and first[0] == tokenizer.bos_token_id
        self._start: list[int] = first if writes_start else []

    def encode(self, sample: Sample, conversation: Conversation | None = None) -> EncodedRow | None:
        """Return a row as tokens.

        :param sample: a row with a question and an answer.
        :param conversation: the same row with its tool calls, if it has any.
        :return: the tokens, or None if the question leaves no room for an answer.
        :raises LLMUnavailableError: if the chat template fails.
        """
        texts, cut = [], False
        with_calls = None if conversation is None else self._with_calls(conversation)
        for parts in self._texts(sample) if with_calls is None else with_calls:
            text, whole = self._encoded(parts)
            cut = cut or not whole
            if text is not None:
                texts.append(text)
        calls_lost = conversation is not None and with_calls is None
        return EncodedRow(tuple(texts), cut, calls_lost) if texts else None

    def _encoded(self, parts: Sequence[tuple[str, bool]]) -> tuple[EncodedText | None, bool]:
        readable = [encodable(text) for text, _ in parts]
        pieces = self._tokenizer(readable, add_special_tokens=False, verbose=False)["input_ids"]
        tokens, answers = list(self._start), []
        for piece, (_, is_answer) in zip(pieces, parts, strict=True):
            if is_answer and piece:
                answers.append((max(1, len(tokens)), min(self.most_tokens, len(tokens) + len(piece))))
            tokens += piece
        kept = [(first, stop) for first, stop in answers if first < stop]
        if not kept or kept[0][0] > _LARGEST_QUESTION * self.most_tokens:
            return None, False
        return EncodedText(tuple(tokens[: kept[-1][1]]), tuple(kept)), len(tokens) <= self.most_tokens

    def _texts(self, sample: Sample) -> Iterator[list[tuple[str, bool]]]:
        """Yield each text as a list of parts. A part is a string and whether it is an answer."""
        rounds = sample.rounds or (Round(one_turn(sample), sample.output),)
        turns = [{"role": "system", "content": sample.system}] if sample.system.strip() else []
        parts: list[tuple[str, bool]] = []
        written = ""
        for question, given in rounds:
            if not given.strip():
                continue
            answer = given.strip()
            turns.append({"role": "user", "content": question})
            prompt = chat_prompt(self._tokenizer, turns, {"enable_thinking": "<think>" in answer})
            if parts and not prompt.startswith(written):
                yield parts
                parts, written = [], ""
            parts += [(prompt[len(written) :], False), (answer + self._ending, True)]
            written = prompt + answer + self._ending
            turns.append({"role": "assistant", "content": answer})
        if parts:
            yield parts

    def _with_calls(self, conversation: Conversation) -> list[list[tuple[str, bool]]] | None:
        """Return the texts of a conversation with tool calls, or None if the template does not write the calls."""
        if not self.has_template:
            return None
        found: list[list[tuple[str, bool]]] = []
        parts: list[tuple[str, bool]] = []
        written = ""
        for number, turn in enumerate(conversation.turns):
            if turn["role"] != "assistant":
                continue
            try:
                prompt = self._rendered(conversation, number, True)
                whole = self._rendered(conversation, number + 1, False)
            except Exception:  # a template can raise anything
                return None
            if not whole.startswith(prompt):
                return None
            if parts and not prompt.startswith(written):
                found.append(parts)
                parts, written = [], ""
            end = prompt + whole[len(prompt) :].rstrip()
            parts += [(prompt[len(written) :], False), (end[len(prompt) :], True)]
            written = end
        found.append(parts)
        answers = "".join(text for texts in found for text, is_answer in texts if is_answer)
        return found if all(name in answers for name in conversation.called) else None

    def _rendered(self, conversation: Conversation, turns: int, asks: bool) -> str:
        return str(
            self._tokenizer.apply_chat_template(
                list(conversation.turns[:turns]),
                tools=list(conversation.tools) or None,
                tokenize=False,
                add_generation_prompt=asks,
            )
        )

    def _behind_answers(self) -> str:
        """Return the text that ends an answer. The student is trained on it too, so that it learns to stop."""
        end = self._tokenizer.eos_token or ""
        if not self.has_template:
            return end
        turns = [{"role": "user", "content": "question"}, {"role": "assistant", "content": "answer"}]
        try:
            text = str(self._tokenizer.apply_chat_template(turns, tokenize=False))
        except Exception:  # if the template fails on every conversation, the first row raises
            return end
        return text.rpartition("answer")[2].rstrip() or end
