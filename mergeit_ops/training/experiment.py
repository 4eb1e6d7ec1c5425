"""Running the trainings of an experiment, and resuming a run that was stopped."""

from __future__ import annotations

import time
from collections.abc import Callable, Sequence

from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.report.rendering import seconds
from mergeit_ops.training.fitting import HeldOut, train
from mergeit_ops.training.plan import Plan
from mergeit_ops.training.price import Price
from mergeit_ops.training.results import Results, RunKey, RunResult
from mergeit_ops.training.student import Student

__all__ = ["BASE", "run_trainings"]

BASE = RunKey("base")
"""The student before any training."""


def run_trainings(
    student: Student,
    plan: Plan,
    held_out: HeldOut,
    results: Results,
    keys: Sequence[RunKey],
    limit_s: float | None,
    price: Price,
    names: Callable[[RunKey], str],
    say: Callable[[str], None],
) -> int:
    """Run the trainings that have no result yet, and write each result as soon as its training is finished.

    :param student: the model to train.
    :param plan: plan of the experiment.
    :param held_out: the held-out rows.
    :param results: the opened file of results.
    :param keys: all trainings, in the order in which they run.
    :param limit_s: no training starts that would end after this number of seconds; None: no limit.
    :param price: estimate for the trainings that are left.
    :param names: returns a readable name of a training.
    :param say: called with each line of progress.
    :return: number of trainings that are left.
    """
    began = time.perf_counter()
    if BASE not in results.found:
        student.reset(0)
        start = time.perf_counter()
        results.add(RunResult(BASE, held_out.sums(), {"eval_s": round(time.perf_counter() - start, 2)}))
    left = [key for key in keys if key not in results.found]
    # Tokens of one epoch: all trainings have the same number of epochs.
    per_token = (price.training_s + price.evaluation_s) / max(1, sum(plan.of(key).tokens for key in left))
    for number, key in enumerate(left):
        rows = plan.of(key)
        spent = time.perf_counter() - began
        if limit_s is not None and spent + per_token * rows.tokens > limit_s:
            rest = len(left) - number
            left_over = f"{many(rest, 'training')} {agree(rest, 'is', 'are')} left"
            say(f"Stopped after {seconds(spent)}: {left_over}. The same command continues.")
            return rest
        start = time.perf_counter()
        steps = train(student, rows.rows, plan.seed_of(key))
        trained = time.perf_counter()
        sums = held_out.sums()
        ended = time.perf_counter()
        facts = {
            "rows": len(rows.rows),
            "distinct_rows": rows.distinct,
            "answer_tokens": rows.answer_tokens,
            "tokens": rows.tokens,
            "steps": steps,
            "train_s": round(trained - start, 2),
            "eval_s": round(ended - trained, 2),
        }
        results.add(RunResult(key, sums, facts))
        per_token = (ended - start) / rows.tokens
        rest_s = per_token * sum(plan.of(other).tokens for other in left[number + 1 :])
        loss = sum(sums) / sum(held_out.tokens)
        took = f"{seconds(ended - start)}; {seconds(rest_s)} left"
        say(f"{number + 1}/{len(left)} {names(key)}: held-out loss {loss:.4f}, {took}")
    return 0
