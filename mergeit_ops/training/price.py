"""The price of an experiment in seconds, estimated before it runs."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence
from dataclasses import dataclass

from mergeit_ops.training.fitting import HeldOut, train
from mergeit_ops.training.plan import Plan
from mergeit_ops.training.results import RunKey
from mergeit_ops.training.student import Student

__all__ = ["Price", "price_of"]

_STEPS = 4


@dataclass(frozen=True)
class Price:
    """The estimated time of the trainings that are left.

    :param trainings: number of trainings that are left.
    :param tokens: tokens that they read in all epochs.
    :param once_s: seconds of the first evaluation, before the first training.
    :param training_s: seconds of all training steps.
    :param evaluation_s: seconds of all evaluations after a training.
    """

    trainings: int
    tokens: int
    once_s: float
    training_s: float
    evaluation_s: float

    @property
    def seconds(self) -> float:
        """Return the seconds of everything."""
        return self.once_s + self.training_s + self.evaluation_s


def price_of(student: Student, plan: Plan, held_out: HeldOut, keys: Sequence[RunKey]) -> Price:
    """Estimate the time of trainings from a few steps of the first one.

    :param student: the model to train.
    :param plan: plan of the experiment.
    :param held_out: the held-out rows.
    :param keys: the trainings that are left.
    """
    if not keys:
        return Price(0, 0, 0.0, 0.0, 0.0)
    first, again = _timed(held_out.read_middle), _timed(held_out.read_middle)
    evaluation_s = again[0] / again[1] * held_out.padded_tokens
    once_s = max(first[0] / first[1] * held_out.padded_tokens, evaluation_s)
    marks = [(time.perf_counter(), 0)]
    train(
        student,
        plan.of(keys[0]).rows,
        0,
        most_steps=_STEPS,
        on_step=lambda tokens: marks.append((time.perf_counter(), tokens)),
    )
    # The first step also includes making the tensors and loading the kernels.
    timed = marks[1:] if len(marks) > 2 else marks
    per_token = (timed[-1][0] - timed[0][0]) / max(1, sum(tokens for _, tokens in timed[1:]))
    tokens = student.settings.epochs * sum(plan.of(key).tokens for key in keys)
    return Price(len(keys), tokens, once_s, per_token * tokens, evaluation_s * len(keys))


def _timed(read: Callable[[], int]) -> tuple[float, int]:
    start = time.perf_counter()
    tokens = read()
    return time.perf_counter() - start, tokens
