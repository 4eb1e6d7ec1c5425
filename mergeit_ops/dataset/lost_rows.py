"""Rows that were lost in operators of Data-Juicer before or between ours."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from mergeit_ops.core.text.counts import many
from mergeit_ops.dataset.foreign_rows import foreign_rows
from mergeit_ops.dataset.recipe import Recipe, RecipeOperator, Step, recipe_and_place
from mergeit_ops.dataset.run_log import RunLog, heard, log_file, worker_logs
from mergeit_ops.errors import DatasetError

_LOG_DELAY_S = 2.0  # Ray reads the output of its workers every half second or more often
_LOADED = re.compile(r"There are (\d+) sample\(s\) in the original dataset")


def check_arrival(operator: RecipeOperator, rows: int) -> None:
    """Warn about operators of Data-Juicer that raised, and stop if no rows are left after them.

    An operator without a recipe accepts any number of rows. So does an operator after another one of ours, because ours
    remove only what the recipe asks for.

    :param operator: one of our operators, which is about to work.
    :param rows: number of its rows.
    :raises DatasetError: if there are none although there were some before these operators of Data-Juicer.
    """
    found = recipe_and_place(operator)
    if found is None:
        return
    recipe, place = found
    said = heard(recipe.config)
    if not rows and recipe.executor != "default":
        said = _heard_late(recipe)
    arrival = Arrival(recipe, place, said)
    for warning in arrival.warnings():
        logger.warning(f"{operator._name}: {warning}")
    # One partition may lose all its rows while others keep theirs.
    is_whole = recipe.executor != "ray_partitioned" or getattr(operator, "is_global_operation", False)
    if not rows and is_whole and arrival.had_rows():
        raise DatasetError(f"{operator._name}: {arrival.explanation()}")


def _heard_late(recipe: Recipe) -> RunLog:
    """Return the content of the log after waiting until errors of Ray's workers have reached the driver."""
    until = time.monotonic() + _LOG_DELAY_S
    while not (said := heard(recipe.config)).raised and time.monotonic() < until:
        time.sleep(0.1)
    return said


def warn_of_the_rest(recipe: Recipe) -> None:
    """At the end of the run, warn about operators of Data-Juicer that raised after the last of ours.

    :param recipe: the recipe.
    """
    ours = [number for number, step in enumerate(recipe.steps) if step.is_ours]
    rest = Arrival(recipe, len(recipe.steps), heard(recipe.config))
    for warning in rest.warnings():
        logger.warning(f"After {recipe.steps[ours[-1]].name}: {warning}")


def follows_others(operator: RecipeOperator) -> bool:
    """Return whether operators of Data-Juicer directly precede one of our operators in a recipe.

    :param operator: one of our operators.
    """
    found = recipe_and_place(operator)
    if found is None:
        return False
    recipe, place = found
    return place > 0 and not recipe.steps[place - 1].is_ours


class Arrival:
    """The steps between one of our operators and the previous one of ours, or the start of the recipe.

    :param recipe: the recipe.
    :param place: position of the operator.
    :param said: the content of the log.
    """

    def __init__(self, recipe: Recipe, place: int, said: RunLog) -> None:
        self._recipe = recipe
        self._said = said
        ours = [number for number in range(place) if recipe.steps[number].is_ours]
        self._first = ours[-1] + 1 if ours else 0
        self._others = range(self._first, place)

    def warnings(self) -> list[str]:
        """Return a sentence about each of these steps that raised."""
        return [
            f"{self._step(number).name} raised {many(self._said.raised[name], 'time')}{self._counts(number)}, first "
            f"with: {self._said.errors.get(name)}. Data-Juicer drops each batch in which an operator raises, unless "
            f"skip_op_error is false. Each error is in the log{_log(self._recipe)}."
            for number in self._others
            if (name := self._step(number).name) in self._said.raised
        ]

    def had_rows(self) -> bool:
        """Return whether there were rows before the first step; True if unknown."""
        before = self._rows_before(self._first)
        if before == 0 and not self._first:
            return _from_checkpoint() or bool(_rows_loaded())
        return bool(self._others) if before is None else before > 0

    def explanation(self) -> str:
        """Return sentences about where the rows were lost."""
        if not self._first and self._rows_before(0) == 0:
            return _lost_at_the_start(self._recipe)
        raised = [self._step(number).name for number in self._others if self._step(number).name in self._said.raised]
        told = [self._step(number).name + self._counts(number) for number in self._others]
        foreign = foreign_rows(self._recipe)
        text = f"no rows reached this operator after {_listed(told)}. "
        if foreign is not None:
            return text + foreign
        if raised:
            error = self._said.errors.get(raised[0])
            return (
                f"{text}{_listed(raised)} raised ({error}), and Data-Juicer drops every batch in which an operator "
                f"raises. Look for 'An error occurred in {raised[0]}' in the log{_log(self._recipe)}, correct its "
                f"parameters, and set skip_op_error: false for it to stop the run at the first error{_NULL_ADVICE}."
            )
        return (
            f"{text}Either they filter too strictly, or one of them raised: Data-Juicer drops every batch in which "
            f"an operator raises. Look for 'An error occurred in' in the log{_log(self._recipe)}, and set "
            f"skip_op_error: false to stop the run at the first error{_NULL_ADVICE}."
        )

    def _step(self, number: int) -> Step:
        return self._recipe.steps[number]

    def _rows_before(self, number: int) -> int | None:
        return self._said.left.get(number) if number else _rows_at_start()

    def _counts(self, number: int) -> str:
        before, after = self._rows_before(number), self._said.left.get(number + 1)
        if before is None or after is None:
            return ""
        return f" ({many(before, 'row')} before it, {after:,} after)"


_NULL_ADVICE = "; an operator that reads text fails on null, and on a column that holds lists, such as messages"


def _lost_at_the_start(recipe: Recipe) -> str:
    if _from_checkpoint():
        return (
            "Data-Juicer resumed from a checkpoint that holds no rows: they were lost in an earlier run. Remove the "
            f"folder ckpt in {recipe.config.work_dir}, and look at the log of that run."
        )
    keys = _listed([f"'{key}'" for key in recipe.text_keys])
    return (
        f"no rows reached this operator: Data-Juicer's loader dropped all {_rows_loaded():,} because each is null in "
        f"a column of text_keys ({keys}); set text_keys to other columns."
    )


def _frames() -> Any:
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]


def _rows_at_start() -> int | None:
    """Return the number of rows that the first operator of the recipe got; None if it is unknown.

    Data-Juicer logs the rows after each operator, but not the rows before the first one. Its stack frames have that
    number.
    """
    from data_juicer.core.data import NestedDataset

    on_ray = sys.modules.get("data_juicer.core.executor.ray_executor")
    for frame in _frames():
        if frame.f_code is NestedDataset.process.__code__:
            return len(frame.f_locals["self"])
        if on_ray is not None and frame.f_code is on_ray.RayExecutor.run.__code__:
            rows = frame.f_locals.get("input_rows")
            return None if rows is None else int(rows)
    return None


def _from_checkpoint() -> bool:
    from data_juicer.core import DefaultExecutor

    for frame in _frames():
        if frame.f_code is DefaultExecutor.run.__code__:
            manager = frame.f_locals["self"].ckpt_manager
            return manager is not None and bool(manager.ckpt_available)
    return False


def _rows_loaded() -> int:
    """Return the number of rows that Data-Juicer's loader read before it dropped some; 0 if unknown."""
    path = log_file()
    try:
        text = Path(path).read_text(encoding="utf-8", errors="replace") if path else ""
    except OSError:
        return 0
    found = _LOADED.findall(text)
    return int(found[-1]) if found else 0


def _listed(names: Sequence[str]) -> str:
    return ", ".join(dict.fromkeys(names))


def _log(recipe: Recipe) -> str:
    if recipe.executor != "default":
        path = worker_logs()
        return f" of Ray's workers, on the terminal and in {path}" if path else " of Ray's workers"
    path = log_file()
    # Data-Juicer compresses the file when the run ends.
    return f" {path} ({Path(path).name}.gz once the run is over)" if path else ""
