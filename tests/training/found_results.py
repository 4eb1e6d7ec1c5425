"""Results with planted differences, as if students had been trained."""

from __future__ import annotations

import numpy as np

from mergeit_ops.training.encoded_sets import EncodedSet, PerPool
from mergeit_ops.training.plan import RANDOM, RANDOM_2X, SET, SWAPPED
from mergeit_ops.training.reading import TrainingSet
from mergeit_ops.training.results import RunKey, RunResult

TOKENS = [10 + 7 * (number % 9) for number in range(120)]
FACTS = {
    "rows": 5,
    "distinct_rows": 5,
    "answer_tokens": 100,
    "tokens": 200,
    "steps": 2,
    "train_s": 1.5,
    "eval_s": 0.5,
}


def results(
    sets: dict[str, float], pool: str, draws: int = 4, seeds: int = 2, swapped: float = 0.03, doubled: float = -0.04
):
    """Return trainings by key, of one pool. Each set has its difference to random rows, in loss per token."""
    chance = np.random.default_rng(0)
    level = chance.normal(1.8, 0.3, len(TOKENS))
    found = {RunKey("base"): RunResult(RunKey("base"), list((level + 0.2) * TOKENS), {"eval_s": 0.5})}
    planted = {(RANDOM, pool): 0.0, (RANDOM_2X, pool): doubled, (SWAPPED, pool): swapped}
    planted |= {(SET, digest): difference for digest, difference in sets.items()}
    for draw in range(draws):
        for (role, digest), difference in planted.items():
            of_draw = chance.normal(0, 0.002)
            for seed in range(seeds):
                noise = chance.normal(0, 0.02, len(TOKENS))
                key = RunKey(role, digest, draw, seed)
                found[key] = RunResult(key, list((level + difference + of_draw + noise) * TOKENS), FACTS)
    return found


def some_rows(tmp_path, name: str) -> EncodedSet:
    """Return a set without rows, of which the digest is its own."""
    read = TrainingSet(tmp_path / name, rows=12, ids=[ascii(name)], asks_held_out=2)
    return EncodedSet(read, [], [], [], 1, 3)


def some_set(tmp_path, name: str) -> PerPool:
    """Return such a set, the same for all draws."""
    return PerPool([some_rows(tmp_path, name)])


def digest_of(one: PerPool) -> str:
    """Return the digest of what is the same for all draws."""
    return one.of_draw(0).read.digest
