"""What the results of an experiment say about each set."""

from __future__ import annotations

from collections.abc import Iterable, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from mergeit_ops.core.training_effect.crossed_mean import (
    CrossedMean,
    crossed_mean,
    draws_needed,
    rows_needed,
    smallest_told,
)
from mergeit_ops.core.training_effect.held_out_losses import MEANS, HeldOutLosses
from mergeit_ops.core.training_effect.token_worth import TokenWorth, token_worth
from mergeit_ops.core.training_effect.verdict import Sight, Verdict, sight_of, verdict_of
from mergeit_ops.training.encoded_sets import PerPool
from mergeit_ops.training.experiment import BASE
from mergeit_ops.training.plan import CONTROLS, RANDOM, RANDOM_2X, SET, SWAPPED
from mergeit_ops.training.results import RunKey, RunResult

__all__ = ["SMALL", "Found", "Measured", "Power", "SetFound", "summarized"]

SMALL = 0.005
"""The power is given for this difference of held-out loss."""


@dataclass(frozen=True)
class Power:
    """How small a difference an experiment can detect in four of five experiments.

    :param smallest: smallest difference that the finished draws detect.
    :param draws: number of draws that detect `SMALL`; None: no number of draws does with these held-out rows.
    :param rows: number of held-out rows that detect `SMALL` with very many draws.
    """

    smallest: float
    draws: int | None
    rows: int


@dataclass(frozen=True)
class Measured:
    """The losses after training on a set or a control, compared with random rows of the same number of tokens.

    :param losses: mean held-out loss, by the name of the mean.
    :param differences: difference to random rows, by the name of the mean; negative is better.
    :param power: power by the name of the mean; empty if there is no interval, or if its length is 0.
    :param draws: number of draws that both have.
    :param facts: means over the trainings of rows, distinct rows, answer tokens, steps and seconds.
    """

    losses: Mapping[str, float]
    differences: Mapping[str, CrossedMean]
    power: Mapping[str, Power]
    draws: int
    facts: Mapping[str, float]


@dataclass(frozen=True)
class SetFound:
    """The results of a set.

    :param name: unique name of the set.
    :param of: rows of the set.
    :param measured: losses and differences; None: no draw is finished.
    :param worth: worth in tokens of random rows, by the name of the mean.
    :param verdict: the verdict in words.
    """

    name: str
    of: PerPool
    measured: Measured | None
    worth: Mapping[str, TokenWorth | None]
    verdict: Verdict


@dataclass(frozen=True)
class Found:
    """The results of an experiment.

    :param sets: results of the sets, in the order of the command.
    :param controls: results of `random_2x` and `swapped`, if they are finished.
    :param base: mean loss of the student before any training, by the name of the mean.
    :param random: mean loss after training on random rows; empty: no such training is finished.
    :param sight: whether the experiment detects its controls; None: they are not finished.
    :param repeats: number of repeats (pairs of a draw and a seed) in which all controls are finished.
    :param trainings: number of finished trainings of these sets and their controls.
    :param left: number of trainings that are not finished.
    :param confidence: confidence of the intervals.
    """

    sets: Sequence[SetFound]
    controls: Mapping[str, Measured]
    base: Mapping[str, float]
    random: Mapping[str, float]
    sight: Sight | None
    repeats: int
    trainings: int
    left: int
    confidence: float


def summarized(
    sets: Sequence[tuple[str, PerPool]],
    pools: PerPool,
    results: Mapping[RunKey, RunResult],
    tokens: Sequence[int],
    left: int,
    confidence: float = 0.95,
) -> Found:
    """Summarize the results of all finished draws.

    :param sets: name and rows of each set.
    :param pools: pools of the random rows.
    :param results: results of the finished trainings.
    :param tokens: (n,) answer tokens of each held-out row.
    :param left: number of trainings that are not finished.
    :param confidence: confidence of the intervals, in (0, 1).
    """
    table = _Table(pools, results, tokens, confidence)
    controls = {role: found for role in (RANDOM_2X, SWAPPED) if (found := table.beside_random(role, pools)) is not None}
    sight = None
    if len(controls) == 2 and all(found.draws > 1 for found in controls.values()):
        sight = sight_of(controls[SWAPPED].differences, controls[RANDOM_2X].differences)
    random = table.losses([(RANDOM, pools)])
    return Found(
        [table.set_found(name, of, sight) for name, of in sets],
        controls,
        table.means(HeldOutLosses(np.asarray([results[BASE].sums]), table.tokens)) if BASE in results else {},
        table.means(random[0]) if random else {},
        sight,
        len(table.repeats([(role, pools) for role in CONTROLS])),
        table.trainings([(role, pools) for role in CONTROLS] + [(SET, of) for _, of in sets]),
        left,
        confidence,
    )


_What = tuple[str, PerPool]
"""Role and rows of a group of trainings."""


class _Table:
    """Results by the rows of their training."""

    def __init__(
        self, pools: PerPool, results: Mapping[RunKey, RunResult], tokens: Sequence[int], confidence: float
    ) -> None:
        self.tokens = np.asarray(tokens, dtype=np.float64)
        self._confidence = confidence
        self._pools = pools
        self._results = results

    def of(self, what: _What) -> dict[tuple[int, int], RunResult]:
        """Return the results of a set or a control, by draw and seed."""
        role, rows = what
        return {
            (key.draw, key.seed): result
            for key, result in self._results.items()
            if key.role == role and rows.has(key.draw, key.digest)
        }

    def repeats(self, whats: Iterable[_What]) -> list[tuple[int, int]]:
        """Return the repeats in which all of these are finished."""
        return sorted(set.intersection(*(set(self.of(what)) for what in whats)))

    def trainings(self, whats: Iterable[_What]) -> int:
        """Return the number of finished trainings. Sets with the same rows share theirs."""
        return len({id(result) for what in whats for result in self.of(what).values()})

    def losses(self, whats: Sequence[_What]) -> list[HeldOutLosses]:
        """Return the losses of the repeats in which all are finished, draw by draw; empty without such a repeat."""
        repeats = self.repeats(whats)
        draws = sorted({draw for draw, _ in repeats})
        if not draws:
            return []
        return [
            HeldOutLosses(
                np.stack(
                    [
                        np.mean([results[repeat].sums for repeat in repeats if repeat[0] == draw], axis=0)
                        for draw in draws
                    ]
                ),
                self.tokens,
            )
            for results in map(self.of, whats)
        ]

    def means(self, losses: HeldOutLosses) -> dict[str, float]:
        return {name: losses.mean(name) for name in MEANS}

    def beside_random(self, role: str, rows: PerPool) -> Measured | None:
        what = (role, rows)
        found = self.losses([what, (RANDOM, self._pools)])
        if not found:
            return None
        own, random = found
        differences = {name: crossed_mean(own.less(random, name), self._confidence) for name in MEANS}
        power = {name: self._power(mean) for name, mean in differences.items() if mean.low != mean.high}
        return Measured(self.means(own), differences, power, len(own.sums), self._facts(what))

    def set_found(self, name: str, of: PerPool, sight: Sight | None) -> SetFound:
        measured = self.beside_random(SET, of)
        if measured is None:
            return SetFound(name, of, None, {}, Verdict("cannot_tell", "Cannot tell yet: no training is finished."))
        worth: dict[str, TokenWorth | None] = dict.fromkeys(MEANS)
        if both := self.losses([(SET, of), (RANDOM, self._pools), (RANDOM_2X, self._pools)]):
            own, random, doubled = both
            worth = {
                mean: token_worth(random.less(own, mean), random.less(doubled, mean), self._confidence)
                for mean in MEANS
            }
        blind = Sight(False, False, "")
        return SetFound(name, of, measured, worth, verdict_of(measured.differences, worth, sight or blind))

    def _power(self, mean: CrossedMean) -> Power:
        return Power(
            smallest_told(mean, mean.draws, self._confidence),
            draws_needed(mean, SMALL, self._confidence),
            rows_needed(mean, SMALL, self._confidence),
        )

    def _facts(self, what: _What) -> dict[str, float]:
        names = ("rows", "distinct_rows", "answer_tokens", "steps", "train_s", "eval_s")
        found: Sequence[Mapping[str, Any]] = [result.facts for result in self.of(what).values()]
        return {name: float(np.mean([facts[name] for facts in found])) for name in names if name in found[0]}
