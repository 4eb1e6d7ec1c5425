"""Which trainings an experiment has, and on which rows: the same draws and held-out rows for every set."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.core.training_effect.drawing import drawn_to, swapped_answers
from mergeit_ops.errors import DatasetError
from mergeit_ops.training.encoding import EncodedRow, RowEncoder
from mergeit_ops.training.reading import TrainingSet
from mergeit_ops.training.results import RunKey

__all__ = ["RANDOM", "RANDOM_2X", "SET", "SWAPPED", "EncodedSet", "Plan", "RunRows", "encoded_set", "with_answer_of"]

RANDOM, RANDOM_2X, SWAPPED, SET = "random", "random_2x", "swapped", "set"
CONTROLS = (RANDOM, RANDOM_2X, SWAPPED)
SWAPPED_SHARE = 0.5


@dataclass(frozen=True)
class EncodedSet:
    """The rows of a set that a student can be trained on.

    :param read: the set.
    :param samples: n rows.
    :param ids: of the rows.
    :param rows: as tokens.
    :param too_long: rows whose question leaves no room for an answer.
    :param cut: rows whose end did not fit.
    :param calls_lost: rows with calls of tools that the chat template does not write.
    """

    read: TrainingSet
    samples: Sequence[Sample]
    ids: Sequence[str]
    rows: Sequence[EncodedRow]
    too_long: int
    cut: int
    calls_lost: int = 0

    @property
    def answer_tokens(self) -> int:
        """Return the tokens of all answers."""
        return sum(row.answer_tokens for row in self.rows)


@dataclass(frozen=True)
class RunRows:
    """The rows of a training.

    :param rows: as tokens.
    :param distinct: how many different rows they are.
    """

    rows: tuple[EncodedRow, ...]
    distinct: int

    @property
    def answer_tokens(self) -> int:
        """Return how many tokens are trained on."""
        return sum(row.answer_tokens for row in self.rows)

    @property
    def tokens(self) -> int:
        """Return how many tokens are read."""
        return sum(len(text.tokens) for row in self.rows for text in row.texts)


def encoded_set(read: TrainingSet, encoder: RowEncoder) -> EncodedSet:
    """Write all rows of a set as tokens.

    :param read: the set.
    :param encoder: of the student.
    :raises DatasetError: if no row is left.
    """
    pairs = zip(read.samples, read.conversations, strict=True)
    encoded = [encoder.encode(sample, conversation) for sample, conversation in pairs]
    kept = [number for number, row in enumerate(encoded) if row is not None]
    rows = [row for row in encoded if row is not None]
    if not rows:
        raise DatasetError(
            f"{read.path}: the questions of all {len(encoded):,} rows leave no room for an answer within "
            f"{encoder.most_tokens} tokens; raise --max-length."
        )
    return EncodedSet(
        read,
        [read.samples[number] for number in kept],
        [read.ids[number] for number in kept],
        rows,
        len(encoded) - len(rows),
        sum(row.cut for row in rows),
        sum(row.calls_lost for row in rows),
    )


def with_answer_of(sample: Sample, other: Sample) -> Sample:
    """Return a row with the last answer of another one in the place of its own.

    :param sample: gives the question.
    :param other: gives the answer.
    """
    answer = other.rounds[-1].answer if other.rounds else other.output
    if not sample.rounds:
        return replace(sample, output=answer)
    rounds = (*sample.rounds[:-1], Round(sample.rounds[-1].question, answer))
    return replace(sample, rounds=rounds, output="\n".join(given for _, given in rounds))


class Plan:
    """The trainings of an experiment.

    :param sets: to be judged.
    :param pool: random rows are drawn from it.
    :param encoder: of the student.
    :param budget: answer tokens of each training; twice as many of one control.
    :param seed: of the draws.
    """

    def __init__(
        self, sets: Sequence[EncodedSet], pool: EncodedSet, encoder: RowEncoder, budget: int, seed: int
    ) -> None:
        self._sets: Mapping[str, EncodedSet] = {one.read.digest: one for one in sets}
        self._pool = pool
        self._encoder = encoder
        self.budget = budget
        self._seed = seed
        self.rows_of = lru_cache(maxsize=None)(self._rows_of)

    def keys(self, draws: int, seeds: int) -> Iterator[RunKey]:
        """Yield the trainings, repeat by repeat: a run that is stopped has whole repeats.

        :param draws: of rows.
        :param seeds: orders of each draw.
        """
        for draw in range(draws):
            for seed in range(seeds):
                for role in CONTROLS:
                    yield RunKey(role, "", draw, seed)
                for digest in self._sets:
                    yield RunKey(SET, digest, draw, seed)

    def of(self, key: RunKey) -> RunRows:
        """Return the rows of a training.

        :param key: of the training.
        """
        return self.rows_of(key.role, key.digest, key.draw)

    def seed_of(self, key: RunKey) -> int:
        """Return the seed of the order of steps, the same for all trainings of a repeat.

        :param key: of the training.
        """
        name = f"{self._seed} {key.draw} {key.seed}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")

    def _rows_of(self, role: str, digest: str, draw: int) -> RunRows:
        found = self._sets[digest] if role == SET else self._pool
        budget = self.budget * (2 if role == RANDOM_2X else 1)
        tokens = [row.answer_tokens for row in found.rows]
        # By the same name for all sets: a row that is in two of them is drawn for both.
        drawn = drawn_to(found.ids, tokens, budget, self._seed, "draw", draw)
        rows = [found.rows[number] for number in drawn.rows]
        if role == SWAPPED:
            return self._swapped(found, drawn.rows, draw)
        rows[-1] = rows[-1].first(drawn.last_tokens)
        return RunRows(tuple(rows), len(set(drawn.rows)))

    def _swapped(self, found: EncodedSet, drawn: Sequence[int], draw: int) -> RunRows:
        ids = [found.ids[number] for number in drawn]
        owners = swapped_answers(ids, SWAPPED_SHARE, self._seed, "swap", draw)
        rows: list[EncodedRow] = []
        left = self.budget
        for place, number in enumerate(drawn):
            sample = with_answer_of(found.samples[number], found.samples[drawn[owners[place]]])
            row = found.rows[number] if owners[place] == place else self._encoder.encode(sample)
            if row is None or not left:
                continue
            rows.append(row.first(min(left, row.answer_tokens)))
            left -= rows[-1].answer_tokens
        return RunRows(tuple(rows), len(set(drawn)))
