"""The forms of a judge's reply: how to ask for them, and how to read them."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, replace
from typing import Any, ClassVar, Protocol

from mergeit_ops.core.scoring.rubrics.reading import (
    first_line_number,
    last_line_number,
    opening_number,
    sole_object,
    yes_or_no,
)
from mergeit_ops.core.scoring.rubrics.scale import Scale

__all__ = ["Checklist", "NumberFirst", "ReplyForm", "ScoreLast", "ScoredObject", "scored_schema"]

_SCORE = ("_score",)


def scored_schema(explained: bool = True) -> Mapping[str, Any]:
    """Return the JSON schema of a score: an object with a reason, or only the number.

    Bounds of the score are checked when it is read, because some servers refuse a schema with bounds.
    """
    if not explained:
        return {"type": "number"}
    return {
        "type": "object",
        # The reason comes first, because after the score it would only justify it.
        "properties": {"reason": {"type": "string"}, "score": {"type": "number"}},
        "required": ["reason", "score"],
        "additionalProperties": False,
    }


class ReplyForm(Protocol):
    """A form of the reply to one rubric."""

    measures: ClassVar[tuple[str, ...]]
    """Suffixes of the stats of a reply; the first is the score."""

    @property
    def reminder(self) -> str:
        """The last sentence of the request."""
        ...

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """JSON schema of a reply; None for a text."""
        ...

    @property
    def tokens(self) -> int:
        """Expected tokens of a reply."""
        ...

    def wanted(self, scale: Scale) -> str:
        """Return the description of the form, for the prompt.

        :param scale: scale of the rubric.
        """
        ...

    def read(self, text: str, scale: Scale) -> tuple[float, ...]:
        """Return the value of each measure.

        :param text: the whole reply, of any kind.
        :param scale: scale of the rubric.
        :raises ReplyError: if there is no score on the scale. No other exception is raised.
        """
        ...

    def check(self, scale: Scale) -> None:
        """Check that numbers of a scale can be read.

        :param scale: scale of the rubric.
        :raises ValueError: if not.
        """
        ...

    def without_reasons(self) -> ReplyForm:
        """Return the form with only the number, or only yes and no."""
        ...


@dataclass(frozen=True)
class NumberFirst:
    """Only the number on the first line.

    :param explained: whether the reason follows below; false: the number is the whole reply.
    :param parts: names of the parts whose sum is the score; see `opening_number`.
    :param strict: whether the first line must be exactly the number, as in the released code of AlpaGasus; false: see
        `opening_number`.
    """

    explained: bool = True
    parts: tuple[str, ...] = ()
    strict: bool = False

    measures: ClassVar[tuple[str, ...]] = _SCORE
    schema: ClassVar[Mapping[str, Any] | None] = None

    @property
    def reminder(self) -> str:
        """See `ReplyForm`."""
        return "Write the number alone on the first line." if self.explained else "Answer with the number only."

    @property
    def tokens(self) -> int:
        """See `ReplyForm`."""
        return 100 if self.explained else 4

    def wanted(self, scale: Scale) -> str:
        """See `ReplyForm`."""
        if not self.explained:
            return f"Answer with {scale}. Write the number only, without a word before it or behind it."
        return (
            f"The first line of the answer is {scale}, and nothing else. Below it, say in one or two sentences what "
            "decided."
        )

    def read(self, text: str, scale: Scale) -> tuple[float, ...]:
        """See `ReplyForm`."""
        number = first_line_number(text) if self.strict else opening_number(text, scale.high, self.parts)
        return (scale.checked(number),)

    def check(self, scale: Scale) -> None:
        """See `ReplyForm`: any."""

    def without_reasons(self) -> NumberFirst:
        """See `ReplyForm`."""
        return replace(self, explained=False)


@dataclass(frozen=True)
class ScoreLast:
    """A short reasoning, and `Score: <number>` on the last line."""

    measures: ClassVar[tuple[str, ...]] = _SCORE
    schema: ClassVar[Mapping[str, Any] | None] = None
    reminder: ClassVar[str] = "Write the score on the last line."
    tokens: ClassVar[int] = 120

    def wanted(self, scale: Scale) -> str:
        """See `ReplyForm`."""
        return (
            'Say in two or three sentences what decides. Then write a last line with "Score: " and '
            f"{scale}, and nothing behind it."
        )

    def read(self, text: str, scale: Scale) -> tuple[float, ...]:
        """See `ReplyForm`."""
        return (scale.checked(last_line_number(text)),)

    def check(self, scale: Scale) -> None:
        """See `ReplyForm`: whole numbers from 0 on."""
        if not scale.whole or scale.low < 0:
            raise ValueError(f"a last line with the score can be read for whole numbers of at least 0, not for {scale}")

    def without_reasons(self) -> NumberFirst:
        """See `ReplyForm`."""
        return NumberFirst(explained=False)


@dataclass(frozen=True)
class ScoredObject:
    """A JSON object with the reason and the score."""

    measures: ClassVar[tuple[str, ...]] = _SCORE
    reminder: ClassVar[str] = "Answer with the JSON object only."
    tokens: ClassVar[int] = 100

    @property
    def schema(self) -> Mapping[str, Any] | None:
        """See `ReplyForm`."""
        return scored_schema()

    def wanted(self, scale: Scale) -> str:
        """See `ReplyForm`."""
        return (
            'Answer with one JSON object and nothing else. It has exactly the keys "reason" and then "score": the '
            f"reason is one or two sentences that name what decided, the score is {scale}."
        )

    def read(self, text: str, scale: Scale) -> tuple[float, ...]:
        """See `ReplyForm`."""
        return (scale.checked(sole_object(text).get("score")),)

    def check(self, scale: Scale) -> None:
        """See `ReplyForm`: any."""

    def without_reasons(self) -> NumberFirst:
        """See `ReplyForm`."""
        return NumberFirst(explained=False)


@dataclass(frozen=True)
class Checklist:
    """Yes-or-no questions.

    An unanswered question counts as no. An overall verdict is neither asked for nor read, so it cannot contradict the
    answers. The score is the share of yes; `pass` is 1 if all answers are yes and 0 otherwise.

    :param items: the questions, at least one.
    :param explained: whether each answer has a reason.
    """

    items: tuple[str, ...]
    explained: bool = True

    measures: ClassVar[tuple[str, ...]] = ("_score", "_pass")
    schema: ClassVar[Mapping[str, Any] | None] = None

    @property
    def reminder(self) -> str:
        """See `ReplyForm`."""
        return f"Answer all {len(self.items)} questions, each on a line of its own."

    @property
    def tokens(self) -> int:
        """See `ReplyForm`."""
        return len(self.items) * (25 if self.explained else 5)

    def wanted(self, scale: Scale) -> str:
        """See `ReplyForm`."""
        questions = "\n".join(f"{number}: {item}" for number, item in enumerate(self.items, start=1))
        if self.explained:
            line = "the number, yes or no, and the reason in a few words, as in `1: yes, because it is so`"
        else:
            line = "the number, and yes or no, as in `1: yes`"
        return (
            f"The questions:\n{questions}\n\nAnswer each question on a line of its own: {line}. In doubt the answer is "
            "no."
        )

    def read(self, text: str, scale: Scale) -> tuple[float, ...]:
        """See `ReplyForm`."""
        answers = yes_or_no(text, len(self.items))
        return sum(answers) / len(answers), float(all(answers))

    def check(self, scale: Scale) -> None:
        """See `ReplyForm`: shares."""
        if (scale.low, scale.high) != (0, 1):
            raise ValueError(f"a checklist has a score from 0 to 1, not {scale}")

    def without_reasons(self) -> Checklist:
        """See `ReplyForm`."""
        return replace(self, explained=False)
