"""How much of each parent's instruction, input and answer a merge keeps.

Words are compared, not embeddings. The parents of a merge are similar, so a merge that lost one parent still has an
embedding near it, because it is near the other parent. Words that only one parent has distinguish the two.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from dataclasses import dataclass
from typing import Literal

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.words import FUNCTION_WORDS, exact_words, is_number, stems

__all__ = ["LossReason", "ParentKept", "least_kept", "parents_kept"]

LossReason = Literal["demand", "input", "answer"]

_SHORT_ANSWER_WORDS = 3
_OWN_WORDS = 3
_MOST = 0.5
_NUMBER_WEIGHT = 1.5
_FUNCTION_WEIGHT = 0.15
_SHARED_WEIGHT = 0.3


@dataclass(frozen=True)
class ParentKept:
    """What a merge keeps of one parent, as shares in [0, 1].

    :param demand: share of its instruction in the merged instruction and input.
    :param input: share of its input in the merged instruction and input; 1 for an empty input. It is also low if the
        merged input gives away the answer.
    :param answer: share of its output in the merged output.
    """

    demand: float
    input: float
    answer: float

    def shares(self) -> dict[LossReason, float]:
        """Return the three shares by field."""
        return {"demand": self.demand, "input": self.input, "answer": self.answer}

    @property
    def share(self) -> float:
        """Return the smallest of the three shares."""
        return min(self.shares().values())

    @property
    def weakest(self) -> LossReason:
        """Return the field of which the merge keeps least."""
        shares = self.shares()
        return min(shares, key=shares.__getitem__)


def parents_kept(parents: Sequence[Sample], merged: Sample) -> list[ParentKept]:
    """Return what a merge keeps of each parent.

    Each share is the weighted share of a parent's distinct words that the merge has. Words that another parent has in
    the same field count a third, because they remain whichever parent is lost. Function words count less, and numbers
    more. An answer of up to three words must be contained word for word. Words are compared by their first five
    letters, so that words with different endings count as the same.

    :param parents: at least one.
    :param merged: the merge.
    :return: one entry per parent, in order.
    """
    asked = frozenset((*stems(merged.instruction), *stems(merged.input)))
    answered = frozenset(stems(merged.output))
    answer = exact_words(merged.output)
    given = frozenset(stems(merged.input))
    known = frozenset(stem for parent in parents for text in (parent.instruction, parent.input) for stem in stems(text))

    def kept(number: int, parent: Sample) -> ParentKept:
        others = [other for place, other in enumerate(parents) if place != number]
        short = exact_words(parent.output)
        return ParentKept(
            demand=_share(parent.instruction, (other.instruction for other in others), asked),
            input=min(
                _share(parent.input, (other.input for other in others), asked),
                1.0 - _given_away(frozenset(stems(parent.output)) - known, given),
            ),
            answer=float(_has_run(answer, short))
            if len(short) <= _SHORT_ANSWER_WORDS
            else _share(parent.output, (other.output for other in others), answered),
        )

    return [kept(number, parent) for number, parent in enumerate(parents)]


def least_kept(parents: Sequence[Sample], merged: Sample) -> float:
    """Return the share of the parent of which a merge keeps least.

    :param parents: at least one.
    :param merged: the merge.
    :return: a value in [0, 1]; 1 if the merge has every word of every parent.
    """
    return min(kept.share for kept in parents_kept(parents, merged))


def _share(text: str, others: Iterable[str], there: frozenset[str]) -> float:
    known = {stem for other in others for stem in stems(other)}
    total = found = 0.0
    for stem in sorted(set(stems(text))):
        weight = _weight(stem) * (_SHARED_WEIGHT if stem in known else 1.0)
        total += weight
        found += weight * (stem in there)
    return found / total if total else 1.0


def _given_away(answer: frozenset[str], given: frozenset[str]) -> float:
    """Return the share of an answer's own words in the merged input, if it is more than half; otherwise 0."""
    own = answer - FUNCTION_WORDS
    share = len(own & given) / len(own) if len(own) >= _OWN_WORDS else 0.0
    return share if share > _MOST else 0.0


def _weight(stem: str) -> float:
    if stem in FUNCTION_WORDS:
        return _FUNCTION_WEIGHT
    return _NUMBER_WEIGHT if is_number(stem) else 1.0


def _has_run(words: Sequence[str], run: Sequence[str]) -> bool:
    if not run:
        return True
    width = len(run)
    return any(words[start : start + width] == run for start in range(len(words) - width + 1))
