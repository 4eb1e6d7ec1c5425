"""Answers that are spoiled on purpose. The distilled scorer must not prefer them to the originals."""

from __future__ import annotations

import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.sentences import split_sentences
from mergeit_ops.scorers.padding_sentences import HELD_OUT_FILLER, TRAINING_FILLER

MARGINS: Mapping[str, float] = {"repeated": 0.5, "shuffled": 0.8, "swapped": 0.5, "padded": 0.7, "stuffed": 0.9}
"""How an answer is spoiled for training, and by how many points its score should fall.

`repeated`: the answer several times. `shuffled`: its words in random order. `swapped`: the answer of another row.
`padded`: with empty phrases added. `stuffed`: with sentences of another row's answer added. No real scores of spoiled
answers are known, so a margin means "worse than the original" and does not measure how much. Margins are larger if a
spoiled answer is hard to tell from an honest one, because the trees then deduct only a part.
"""

UNSEEN_PADDING = "padded_unseen"
"""Like `padded`, but with sentences that training never sees. Used only for figures."""

KINDS: tuple[str, ...] = (*MARGINS, UNSEEN_PADDING)

_FEWEST_REPETITIONS, _MOST_REPETITIONS = 2, 30
_MOST_SENTENCES = 8


@dataclass(frozen=True)
class SpoiledRows:
    """Spoiled copies of rows.

    :param kind: one of `KINDS`.
    :param sources: rows whose query is kept.
    :param donors: rows whose answer is added to the copy (`stuffed`) or replaces its answer (`swapped`); otherwise the
        sources.
    :param samples: the copies.
    """

    kind: str
    sources: Sequence[int]
    donors: Sequence[int]
    samples: Sequence[Sample]


def spoil_rows(samples: Sequence[Sample], kind: str, count: int, rng: random.Random) -> SpoiledRows:
    """Copy some rows and spoil the answers of the copies.

    :param samples: the rows.
    :param kind: one of `KINDS`.
    :param count: number of copies, at most as many as there are rows.
    :param rng: generator that chooses rows and makes draws.
    """
    sources = sorted(rng.sample(range(len(samples)), count))
    # Shifting the chosen rows by one gives every query the answer of another row.
    donors = sources[1:] + sources[:1] if kind in ("swapped", "stuffed") else sources
    spoil: Mapping[str, Callable[[str, str], str]] = {
        "repeated": lambda own, other: repeat_output(own, _log_uniform(_FEWEST_REPETITIONS, _MOST_REPETITIONS, rng)),
        "shuffled": lambda own, other: shuffle_output(own, rng),
        "swapped": lambda own, other: other,
        "padded": lambda own, other: pad_output(own, _some(TRAINING_FILLER, rng), rng),
        "stuffed": lambda own, other: pad_output(own, _in_a_row(split_sentences(other), rng), rng),
        UNSEEN_PADDING: lambda own, other: pad_output(own, _some(HELD_OUT_FILLER, rng), rng),
    }
    spoiled = [
        replace(samples[source], output=spoil[kind](samples[source].output, samples[donor].output))
        for source, donor in zip(sources, donors, strict=True)
    ]
    return SpoiledRows(kind, sources, donors, spoiled)


def repeat_output(output: str, times: int) -> str:
    """Return the answer repeated several times."""
    return " ".join([output.strip()] * times)


def shuffle_output(output: str, rng: random.Random) -> str:
    """Return the words of the answer in random order."""
    words = output.split()
    rng.shuffle(words)
    return " ".join(words)


def pad_output(output: str, sentences: Sequence[str], rng: random.Random) -> str:
    """Return the answer with sentences added after it, around it, or between its lines and sentences.

    :param output: the answer.
    :param sentences: sentences to add.
    :param rng: generator that chooses the places; half of the answers are padded at the end.
    """
    where = rng.random()
    inside = output.strip().splitlines() if "\n" in output.strip() else split_sentences(output)
    if where < 0.25 and len(inside) > 1 and "```" not in output:
        joint = "\n" if "\n" in output.strip() else " "
        for sentence in sentences:
            inside.insert(rng.randint(0, len(inside)), sentence)
        return joint.join(inside)
    before = rng.randint(0, len(sentences)) if where < 0.5 else 0
    return " ".join([*sentences[:before], output.strip(), *sentences[before:]])


def _some(filler: Sequence[str], rng: random.Random) -> list[str]:
    return rng.sample(filler, _log_uniform(1, _MOST_SENTENCES, rng))


def _in_a_row(sentences: Sequence[str], rng: random.Random) -> Sequence[str]:
    count = min(len(sentences), _log_uniform(1, _MOST_SENTENCES, rng))
    start = rng.randint(0, len(sentences) - count)
    return sentences[start : start + count]


def _log_uniform(low: int, high: int, rng: random.Random) -> int:
    # Evenly spread on a log scale, like the length features. Otherwise training would not cover an answer of thirty
    # times the length.
    return round(low * (high / low) ** rng.random())
