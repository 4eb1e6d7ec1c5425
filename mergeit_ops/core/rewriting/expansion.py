"""Expand a dataset in depth and in breadth (the first phase of LIFT, arXiv 2312.11508)."""

from __future__ import annotations

from abc import ABC, abstractmethod
from dataclasses import dataclass
from typing import ClassVar

from mergeit_ops.core.rewriting.chains import Chain
from mergeit_ops.core.rewriting.checks import WordLimits
from mergeit_ops.core.rewriting.instructions import DATA_RULE, instruction_question
from mergeit_ops.core.rewriting.responses import answered
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.words import count_words

__all__ = ["BROADEN_SYSTEM_PROMPT", "DEEPEN_SYSTEM_PROMPT", "Broaden", "Deepen"]

_ROOM_WORDS = 60
_FEWEST_WORDS = 3
_DEEPER_WORDS = 25

DEEPEN_SYSTEM_PROMPT = f"""\
You deepen requests to a language model. You are given one record: a request as `instruction`, with the material that \
it works on as `input` where there is any. Write the request anew so that a good answer takes more knowledge or more \
steps of thought, in one of these ways, whichever suits it best: add a condition that the answer has to meet; ask for \
the reasons or for what follows; put something particular in the place of something general; ask for the steps that \
lead to the answer.

- It stays a request about the same matter, which a person could have written and somebody can answer.
- Write in its language. Keep the form in which it gives or wants data: tables, code, lists, formulas.
- The `input` stays as it is. Do not copy it, and do not answer the request.
- Do not speak of these rules or of an earlier request. Use no web address that is not in the record.

{DATA_RULE}

Answer with one JSON object and nothing else. It has exactly the key "instruction", a string."""

BROADEN_SYSTEM_PROMPT = f"""\
You broaden a collection of requests to a language model. You are given one record of it: a request as `instruction`, \
with the material that it works on as `input` where there is any. Write another request from the same field that the \
collection is less likely to have: about a matter that comes up less often, as hard and about as long as the one given.

- It stands for itself: whoever reads it does not know the one given. Write in the language of the one given.
- If it works on material, write that as `input`; else `input` is an empty string.
- Do not answer it. Do not speak of these rules or of another request. Use no web address that is not in the record.

{DATA_RULE}

Answer with one JSON object and nothing else. It has exactly the keys "instruction" and "input", each a string."""


@dataclass(frozen=True)
class _Expansion(ABC):
    """Writes a request in one call, and asks for a new answer to it.

    :param regenerate_response: see `answered`.
    """

    regenerate_response: bool = True

    @property
    def nodes_added(self) -> int:
        """See `RewriteMethod`."""
        return 0

    def problem(self, sample: Sample) -> str | None:
        """See `RewriteMethod`."""
        return None

    def chain(self, sample: Sample) -> Chain:
        """See `RewriteMethod`."""
        return answered(self._instructions(sample), sample, self.regenerate_response)

    @abstractmethod
    def _instructions(self, sample: Sample) -> Chain:
        """Ask for the request."""


@dataclass(frozen=True)
class Deepen(_Expansion):
    """Makes a request harder, and asks for a new answer to it.

    It follows the deepening half of LIFT's expansion. The wording of the prompt is our own, and if a reply breaks a
    rule, the model is told what is wrong and asked again. LIFT keeps the original rows beside the new ones; here the
    new row replaces the old one.
    """

    name: ClassVar[str] = "deepen"

    def _instructions(self, sample: Sample) -> Chain:
        words = count_words(sample.instruction)
        limits = WordLimits(words + 1, words + _ROOM_WORDS)
        return (yield instruction_question(DEEPEN_SYSTEM_PROMPT, sample, limits, added_words=_DEEPER_WORDS))


@dataclass(frozen=True)
class Broaden(_Expansion):
    """Writes another request in the same field, and asks for an answer to it.

    It follows the broadening half of LIFT's expansion, with the same differences as `Deepen`.
    """

    name: ClassVar[str] = "broaden"

    def _instructions(self, sample: Sample) -> Chain:
        limits = WordLimits(_FEWEST_WORDS, count_words(sample.instruction) + _ROOM_WORDS)
        return (yield instruction_question(BROADEN_SYSTEM_PROMPT, sample, limits, added_words=0, with_input=True))
