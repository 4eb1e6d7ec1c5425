"""The trainings of an experiment and their rows. All sets have the same draws and held-out rows."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Sequence
from dataclasses import dataclass, replace
from functools import lru_cache

from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.core.training_effect.drawing import drawn_to, swapped_answers
from mergeit_ops.training.encoded_sets import EncodedSet, PerPool
from mergeit_ops.training.encoding import EncodedRow, RowEncoder
from mergeit_ops.training.results import RunKey

__all__ = ["CONTROLS", "RANDOM", "RANDOM_2X", "SET", "SWAPPED", "Plan", "RunRows", "with_answer_of"]

RANDOM, RANDOM_2X, SWAPPED, SET = "random", "random_2x", "swapped", "set"
CONTROLS = (RANDOM, RANDOM_2X, SWAPPED)
SWAPPED_SHARE = 0.5


@dataclass(frozen=True)
class RunRows:
    """The rows of a training.

    :param rows: the rows as tokens; a repeated row appears several times.
    :param distinct: number of different rows.
    """

    rows: tuple[EncodedRow, ...]
    distinct: int

    @property
    def answer_tokens(self) -> int:
        """Return the number of tokens that the loss covers."""
        return sum(row.answer_tokens for row in self.rows)

    @property
    def tokens(self) -> int:
        """Return the number of tokens that one epoch reads."""
        return sum(len(text.tokens) for row in self.rows for text in row.texts)


def with_answer_of(sample: Sample, other: Sample) -> Sample:
    """Return a row with its last answer replaced by the last answer of another row.

    :param sample: row with the question.
    :param other: row with the answer.
    """
    answer = other.rounds[-1].answer if other.rounds else other.output
    if not sample.rounds:
        return replace(sample, output=answer)
    rounds = (*sample.rounds[:-1], Round(sample.rounds[-1].question, answer))
    return replace(sample, rounds=rounds, output="\n".join(given for _, given in rounds))


class Plan:
    """The trainings of an experiment.

    :param sets: the sets to judge.
    :param pools: the pools of the random rows: one, or one for each file of a set.
    :param encoder: encoder of the student.
    :param budget: answer tokens of each training. The control `random_2x` has twice as many.
    :param seed: seed of the draws.
    """

    def __init__(self, sets: Sequence[PerPool], pools: PerPool, encoder: RowEncoder, budget: int, seed: int) -> None:
        self._sets = sets
        self._pools = pools
        self._by_digest = {one.read.digest: one for given in (*sets, pools) for one in given}
        self._encoder = encoder
        self.budget = budget
        self._seed = seed
        self.rows_of = lru_cache(maxsize=None)(self._rows_of)

    def keys(self, draws: int, seeds: int) -> Iterator[RunKey]:
        """Yield the trainings repeat by repeat, so that a stopped run has whole repeats.

        :param draws: number of draws of rows. With several pools, at most the number of pools.
        :param seeds: number of orders of each draw.
        """
        for draw in range(draws):
            pool = self._pools.of_draw(draw).read.digest
            # Sets with the same rows share their trainings.
            digests = dict.fromkeys(one.of_draw(draw).read.digest for one in self._sets)
            for seed in range(seeds):
                for role in CONTROLS:
                    yield RunKey(role, pool, draw, seed)
                for digest in digests:
                    yield RunKey(SET, digest, draw, seed)

    def of(self, key: RunKey) -> RunRows:
        """Return the rows of a training.

        :param key: key of the training.
        """
        return self.rows_of(key.role, key.digest, key.draw)

    def seed_of(self, key: RunKey) -> int:
        """Return the seed of the order of steps. All trainings of a repeat have the same seed.

        :param key: key of the training.
        """
        name = f"{self._seed} {key.draw} {key.seed}"
        return int.from_bytes(hashlib.sha256(name.encode()).digest()[:4], "big")

    def _rows_of(self, role: str, digest: str, draw: int) -> RunRows:
        found = self._by_digest[digest]
        budget = self.budget * (2 if role == RANDOM_2X else 1)
        tokens = [row.answer_tokens for row in found.rows]
        # All sets use the same key, so a row that is in two sets is drawn for both.
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
