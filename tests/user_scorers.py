"""Scorers of a user, which recipes name by import path."""

from __future__ import annotations

import os
import signal
from collections.abc import Sequence

import numpy as np

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.scorers import Score


class ByLength:
    """Scores the length of the answer, in characters; a blank answer has no score."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        return [
            Score(float(len(sample.output))) if sample.output.strip() else Score.missing("empty_response")
            for sample in samples
        ]


class WithReverseIfd:
    """Scores the first character of the answer when it is a digit; one that ends in `!` has a high reverse IFD."""

    measures = {"digit": "digit_score", "reverse_ifd": "reverse_ifd"}

    def identity(self) -> dict:
        return {}

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        return ByFirstDigit().score(samples)

    def measure(self, samples: Sequence[Sample]) -> list[tuple[Score, ...]]:
        reverse = (Score(1.5 if sample.output.endswith("!") else 0.5) for sample in samples)
        return list(zip(self.score(samples), reverse, strict=True))


class ByFirstDigit:
    """Scores the first character of the answer when it is a digit; else there is no score."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        return [
            Score(float(sample.output[0])) if sample.output[:1].isdigit() else Score.missing("no_digit")
            for sample in samples
        ]


class ByInstruction:
    """Scores the length of the instruction, in characters, without the input."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        return [Score(float(len(sample.instruction))) for sample in samples]


class Constant:
    """Gives every row the same score."""

    def __init__(self, value: float = 1.0) -> None:
        self.value = value

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        return [Score(self.value) for _ in samples]


class NotANumber:
    """Gives every row NaN."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        return [Score(float("nan")) for _ in samples]


class Infinite:
    """Gives every row infinity."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        return [Score(float("inf")) for _ in samples]


class NumpyScalar:
    """Gives every row a NumPy number."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        return [Score(np.float32(2)) for _ in samples]


class Raising:
    """Fails."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        raise KeyError("boom")


class Killing:
    """Kills its process, like the system when memory runs out."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        os.kill(os.getpid(), signal.SIGKILL)
        return []


class OneShort:
    """Breaks the contract: one score too few."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        return [Score(1.0) for _ in samples[1:]]


class ByFirstNumber:
    """Scores the number that the answer begins with; else there is no score."""

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        scores = []
        for sample in samples:
            try:
                scores.append(Score(float(sample.output.split()[0])))
            except (ValueError, IndexError):
                scores.append(Score.missing("no_number"))
        return scores


class PlainNumbers:
    """Breaks the contract: numbers instead of scores."""

    def score(self, samples: Sequence[Sample]) -> list[float]:
        return [1.0 for _ in samples]


class Nothing:
    """Breaks the contract: no list at all."""

    def score(self, samples: Sequence[Sample]) -> None:
        return None


class InPool:
    """Scores each row by its position among all rows."""

    measures = {"in_pool": "in_pool"}

    def identity(self) -> dict:
        return {}

    def prepare(self, pool: Pool) -> list:
        return list(range(len(pool.vectors)))

    def score(self, samples: Sequence[Sample], known: Sequence[int]) -> list[tuple[Score, ...]]:
        return [(Score(float(value)),) for value in known]


class PreparesTooFew(InPool):
    """Forgets a row."""

    def prepare(self, pool: Pool) -> list:
        return super().prepare(pool)[1:]


class ScoresTooFew(InPool):
    """Forgets a row later."""

    def score(self, samples: Sequence[Sample], known: Sequence[int]) -> list[tuple[Score, ...]]:
        return super().score(samples, known)[1:]


class RaisesInPool(InPool):
    """Divides by zero."""

    def prepare(self, pool: Pool) -> list:
        return [1 // 0]


class NanInPool(InPool):
    """Gives every row NaN."""

    def score(self, samples: Sequence[Sample], known: Sequence[int]) -> list[tuple[Score, ...]]:
        return [(Score(float("nan")),) for _ in known]


class TakesAGpu(InPool):
    """Scores each row by the GPUs of the task that scores it, and by those of the task that prepared it."""

    measures = {"score": "gpus_to_score", "prepare": "gpus_to_prepare", "cpus": "cpus_to_score"}
    needs = frozenset({"samples"})

    def __init__(self, model_step: str = "score", device: str | None = None) -> None:
        self.model_step = model_step
        self.device = device

    def prepare(self, pool: Pool) -> list:
        return [_assigned("GPU")] * len(pool.vectors)

    def score(self, samples: Sequence[Sample], known: Sequence[float]) -> list[tuple[Score, ...]]:
        return [(Score(_assigned("GPU")), Score(value), Score(_assigned("CPU"))) for value in known]


def _assigned(name: str) -> float:
    import ray

    return float(ray.get_runtime_context().get_assigned_resources().get(name, 0))
