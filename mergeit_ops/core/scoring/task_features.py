"""The kind of task and the style of the answer, from counts of English words, without a model."""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Mapping, Sequence
from typing import TYPE_CHECKING

import numpy as np

from mergeit_ops.core.sample import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

__all__ = ["TASKS", "TASK_FEATURE_NAMES", "task_features"]

TASKS: Mapping[str, frozenset[str]] = {
    name: frozenset(words.split())
    for name, words in {
        "write": "write compose create generate construct craft design develop draft make produce tell imagine",
        "explain": "explain describe discuss elaborate analyze compare why how outline",
        "list": "list give name provide suggest identify find state",
        "edit": "rewrite edit rephrase paraphrase correct convert change translate transform replace remove add fix",
        "classify": "classify categorize determine decide sort rank predict label",
        "calculate": "calculate compute solve convert estimate evaluate count",
        "ask": "what which who when where is are does can",
        "summarize": "summarize summarise",
    }.items()
}
"""Words of an instruction that indicate its kind; a word may indicate two kinds."""

_OUTPUT_NAMES = (
    "output_connective_share",
    "output_hedge_share",
    "output_commas_per_word",
    "output_colons_per_word",
    "output_quotes_per_word",
    "output_brackets_per_word",
    "output_ly_share",
    "output_ing_share",
    "output_first_person_share",
    "output_second_person_share",
    "output_names_per_word",
    "output_numbers_per_word",
    "output_has_question",
    "output_has_exclamation",
    "output_log_new_words",
    "output_very_long_word_share",
    "output_log_longest_sentence",
    "output_starts_upper",
    "output_single_use_share",
    "output_opening_from_instruction_share",
    "output_log_paragraph_breaks",
    "output_log_syllables",
    "output_syllables_per_word",
)

TASK_FEATURE_NAMES: tuple[str, ...] = (
    *(f"instruction_begins_{name}" for name in TASKS),
    *(f"instruction_has_{name}" for name in TASKS),
    *_OUTPUT_NAMES,
)
"""Names of the columns of `task_features`, in order."""

_CONNECTING = """
    because however therefore although moreover furthermore additionally finally overall thus since while such example
    instance especially also including which then first second
"""
_HEDGING = "may might could perhaps often usually generally typically likely can some many most"
_CONNECTIVES, _HEDGES = frozenset(_CONNECTING.split()), frozenset(_HEDGING.split())
_FIRST_PERSON, _SECOND_PERSON = frozenset(("i", "my", "me", "we", "our")), frozenset(("you", "your"))
_WORD = re.compile(r"[A-Za-z']+")
_VOWELS = re.compile(r"[aeiouy]+")
_NAME = re.compile(r"(?<=[a-z,] )[A-Z][a-z]+")
_NUMBER = re.compile(r"\d+")
_SENTENCE_END = re.compile(r"[.?!\n]")
_OPENING, _VERY_LONG = 8, 10  # words, letters


def task_features(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Count the features of the kind of task and of the style of the answer.

    The features of a row depend only on its own sample. Words are runs of English letters. Lengths are ln(1 + count).
    Features per word are 0 if there are no words.

    :param samples: n rows; any text may be empty.
    :return: (n, len(TASK_FEATURE_NAMES)) float32, all finite.
    """
    table = [_of_instruction(sample) + _of_output(sample) for sample in samples]
    return np.array(table, dtype=np.float32).reshape(len(samples), len(TASK_FEATURE_NAMES))


def _of_instruction(sample: Sample) -> list[float]:
    words = _words(sample.instruction)
    begins = [float(bool(words) and words[0] in told) for told in TASKS.values()]
    return begins + [float(not told.isdisjoint(words)) for told in TASKS.values()]


def _of_output(sample: Sample) -> list[float]:
    output = sample.output.strip()
    words, asked = _words(output), _words(sample.instruction)
    counts = Counter(words)
    syllables = sum(count * len(_VOWELS.findall(word)) for word, count in counts.items())

    def per_word(number: int) -> float:
        return number / len(words) if words else 0.0

    def share(told: frozenset[str]) -> float:
        return per_word(sum(counts[word] for word in told))

    return [
        share(_CONNECTIVES),
        share(_HEDGES),
        per_word(output.count(",")),
        per_word(output.count(":")),
        per_word(output.count('"')),
        per_word(output.count("(")),
        per_word(sum(word.endswith("ly") for word in words)),
        per_word(sum(word.endswith("ing") for word in words)),
        share(_FIRST_PERSON),
        share(_SECOND_PERSON),
        per_word(len(_NAME.findall(output))),
        per_word(len(_NUMBER.findall(output))),
        float("?" in output),
        float("!" in output),
        float(np.log1p(len(set(counts) - set(_words(sample.query))))),
        per_word(sum(len(word) >= _VERY_LONG for word in words)),
        float(np.log1p(max(len(part.split()) for part in _SENTENCE_END.split(output)))),
        float(output[:1].isupper()),
        per_word(sum(count == 1 for count in counts.values())),
        len(set(words[:_OPENING]) & set(asked)) / _OPENING,
        float(np.log1p(output.count("\n\n"))),
        float(np.log1p(syllables)),
        per_word(syllables),
    ]


def _words(text: str) -> list[str]:
    return [word.lower() for word in _WORD.findall(text)]
