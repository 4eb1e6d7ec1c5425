"""Training a student on rows, and measuring its loss on held-out answers.

The training loop is our own for three reasons. Sets with equal answer tokens need equal numbers of steps, the states of
the lower layers are reused, and the loss is needed for each row. The experiment does not need what a trainer library
adds, such as logging and checkpoints.
"""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence

import torch

from mergeit_ops.errors import StudentError
from mergeit_ops.training.encoding import EncodedRow, EncodedText
from mergeit_ops.training.student import Batch, Student

__all__ = ["HeldOut", "steps_of", "train"]

_WARM_UP = 0.1
_LAST_SHARE = 0.05
_BETAS = (0.9, 0.95)
_LARGEST_GRADIENT = 1.0
_TEXTS_AT_ONCE = 16


def steps_of(rows: Sequence[EncodedRow], step_tokens: int) -> list[list[EncodedText]]:
    """Divide rows into steps with about the same number of answer tokens and texts of similar length.

    :param rows: rows with as many answer tokens as the budget.
    :param step_tokens: approximate number of answer tokens of a step.
    :return: the texts of each step. The number of steps is the rounded quotient of the tokens and `step_tokens`. It is
        smaller if single texts have more tokens than a step.
    """
    texts = sorted((text for row in rows for text in row.texts), key=lambda text: (len(text.tokens), text.tokens))
    total = sum(text.answer_tokens for text in texts)
    count = max(1, round(total / step_tokens))
    steps: list[list[EncodedText]] = [[] for _ in range(count)]
    seen = 0
    for text in texts:
        # A text at the border of two steps goes to the step that has most of its tokens.
        middle = seen + text.answer_tokens / 2
        steps[min(count - 1, int(middle * count / total))].append(text)
        seen += text.answer_tokens
    return [step for step in steps if step]


def train(
    student: Student,
    rows: Sequence[EncodedRow],
    seed: int,
    most_steps: int | None = None,
    on_step: Callable[[int], None] = lambda tokens: None,
) -> int:
    """Train a student from its original weights.

    :param student: the model; it has the trained weights afterwards.
    :param rows: rows to train on.
    :param seed: seed of the order of the steps, and of the adapters.
    :param most_steps: stop after this number of steps; None: run all steps.
    :param on_step: called after each step with the number of its tokens.
    :return: number of steps of the whole training.
    :raises StudentError: if a loss is not finite.
    """
    settings = student.settings
    student.reset(seed)
    optimizer = torch.optim.AdamW(student.trained, settings.learning_rate, _BETAS, weight_decay=0.0, fused=True)
    steps = [[student.batch(part) for part in student.parts(step)] for step in steps_of(rows, settings.step_tokens)]
    orders = []
    shuffle = random.Random(seed)
    for _ in range(settings.epochs):
        orders += shuffle.sample(range(len(steps)), len(steps))
    for number, chosen in enumerate(orders[:most_steps]):
        share = min(1.0, (number + 1) / max(1.0, _WARM_UP * len(orders)))
        share *= max(_LAST_SHARE, 1 - number / len(orders))
        for group in optimizer.param_groups:
            group["lr"] = settings.learning_rate * share
        _step(student, steps[chosen], optimizer, number)
        if settings.epochs == 1:
            for batch in steps[chosen]:
                batch.states = None
        on_step(sum(int(batch.ids.numel()) for batch in steps[chosen]))
    return len(orders)


def _step(student: Student, batches: Sequence[Batch], optimizer: torch.optim.Optimizer, number: int) -> None:
    total = sum(batch.answer_tokens for batch in batches)
    for batch in batches:
        loss = student.losses(batch).sum() / total
        if not torch.isfinite(loss):
            raise StudentError(
                f"The loss of the student {student.name!r} is {float(loss.detach())} at step {number + 1}: the "
                f"training diverges. Lower --learning-rate, which is {student.settings.learning_rate:g}."
            )
        loss.backward()
    torch.nn.utils.clip_grad_norm_(student.trained, _LARGEST_GRADIENT)
    optimizer.step()
    optimizer.zero_grad(set_to_none=True)


class HeldOut:
    """Held-out rows. The lower layers of the student compute their states once for all evaluations.

    :param student: the student whose losses are measured.
    :param rows: n encoded rows.
    """

    def __init__(self, student: Student, rows: Sequence[EncodedRow]) -> None:
        self._student = student
        self.tokens = [row.answer_tokens for row in rows]
        """(n,) answer tokens of each row."""
        texts = sorted(
            ((text, number) for number, row in enumerate(rows) for text in row.texts),
            key=lambda text: (len(text[0].tokens), text[1]),
        )
        self._batches: list[tuple[Batch, list[tuple[int, int]]]] = []
        for start in range(0, len(texts), _TEXTS_AT_ONCE):
            some, done = texts[start : start + _TEXTS_AT_ONCE], 0
            for part in student.parts([text for text, _ in some]):
                owners = [(number, text.answer_tokens) for text, number in some[done : done + len(part)]]
                self._batches.append((student.batch(part), owners))
                done += len(part)

    @property
    def padded_tokens(self) -> int:
        """Return the number of tokens that an evaluation reads, including padding."""
        return sum(int(batch.ids.numel()) for batch, _ in self._batches)

    def read_middle(self) -> int:
        """Read one batch of medium length, so that a caller can time it, and return the number of its tokens."""
        batch, _ = self._batches[len(self._batches) // 2]
        with torch.no_grad():
            self._student.losses(batch)
        return int(batch.ids.numel())

    def sums(self) -> list[float]:
        """Return the sum of the token losses of each row's answers, (n,).

        :raises StudentError: if a loss is not finite.
        """
        sums = [0.0] * len(self.tokens)
        for batch, owners in self._batches:
            with torch.no_grad():
                losses = self._student.losses(batch).cpu()
            for (number, _), part in zip(owners, losses.split([tokens for _, tokens in owners]), strict=True):
                sums[number] += float(part.double().sum())
        if not all(map(math.isfinite, sums)):
            raise StudentError(
                f"The held-out loss of the student {self._student.name!r} is not finite after training. Lower "
                f"--learning-rate, which is {self._student.settings.learning_rate:g}."
            )
        return sums
