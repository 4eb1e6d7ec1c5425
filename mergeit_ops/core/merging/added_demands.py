"""Find demands in a merged instruction that no parent makes: limits, and phrases copied from the prompt."""

from __future__ import annotations

import re
from collections.abc import Sequence
from functools import cache

from mergeit_ops.core.merging.instruction_only import INSTRUCTION_SYSTEM_PROMPT, SHORT_INSTRUCTION_SYSTEM_PROMPT
from mergeit_ops.core.merging.prompts import DEFAULT_SYSTEM_PROMPT, SHORT_SYSTEM_PROMPT, WORKED_EXAMPLES
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.words import FUNCTION_WORDS, exact_words, stems, word_runs

__all__ = ["added_demand"]

_NUMBER_WORDS = "one two three four five six seven eight nine ten twelve fifteen twenty thirty fifty hundred"
_NUMBER = rf"(?:\d[\d,.]*|{'|'.join(_NUMBER_WORDS.split())})"
_BOUND = r"(?:at (?:most|least)|(?:no|not) (?:more|fewer|less) than|(?:more|fewer|less) than|up to|exactly|within)"
_LIMIT = re.compile(rf"\b{_BOUND}\s+({_NUMBER})\s+\w+", re.IGNORECASE)
_SYSTEM_PROMPTS = (
    DEFAULT_SYSTEM_PROMPT,
    SHORT_SYSTEM_PROMPT,
    INSTRUCTION_SYSTEM_PROMPT,
    SHORT_INSTRUCTION_SYSTEM_PROMPT,
)
_PHRASE_WORDS = 4
_NEW_WORDS = 2


def added_demand(parents: Sequence[Sample], merged: Sample) -> str:
    """Return a demand of a merged instruction that no parent makes; empty if none is found.

    Free rewording has many new words without a new demand, so only two kinds are looked for: a limit (`at most ten
    words`) whose number no parent has, and four words in a row from the rules or the worked examples of the prompt, at
    least two of which no parent has.

    :param parents: the rows that were to be merged.
    :param merged: the merge.
    :return: the words of the demand in the merged instruction.
    """
    texts = [text for parent in parents for text in (parent.instruction, parent.input, parent.output, parent.system)]
    known = {word for text in texts for word in exact_words(text)}
    for limit in _LIMIT.finditer(merged.instruction):
        if not known.intersection(exact_words(limit[1])):
            return limit[0]
    of_rows = FUNCTION_WORDS.union(*(stems(text) for text in texts))
    for phrase in word_runs(exact_words(merged.instruction), _PHRASE_WORDS):
        new = [stem for stem in stems(" ".join(phrase)) if stem not in of_rows]
        if len(new) >= _NEW_WORDS and phrase in _of_prompt():
            return " ".join(phrase)
    return ""


@cache
def _of_prompt() -> frozenset[tuple[str, ...]]:
    samples = [sample for rows, merged in WORKED_EXAMPLES for sample in (*rows, merged)]
    texts = [*_SYSTEM_PROMPTS, *(text for sample in samples for text in (sample.instruction, sample.input))]
    return frozenset(phrase for text in texts for phrase in word_runs(exact_words(text), _PHRASE_WORDS))
