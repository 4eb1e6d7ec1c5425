"""What is left of the rows that reach an operator of ours after operators of Data-Juicer, and where they were lost."""

from __future__ import annotations

import re
import sys
import time
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from loguru import logger

from mergeit_ops.dataset.recipe import Recipe, Step, current_recipe
from mergeit_ops.dataset.run_log import RunLog, heard, log_file, worker_logs
from mergeit_ops.errors import DatasetError

_LOG_DELAY_S = 2.0  # Ray looks at what its workers print every half second at most
_LOADED = re.compile(r"There are (\d+) sample\(s\) in the original dataset")


def check_arrival(operator: Any, rows: int) -> None:
    """Warn of operators of Data-Juicer that raised, and stop where none of the rows has got past them.

    An operator without a recipe takes any number of rows, and so does one that follows another of ours: what ours take
    away is what the recipe asks for.

    :param operator: an operator of ours that is about to work.
    :param rows: number of its rows.
    :raises DatasetError: if there are none, although there were some before the operators of Data-Juicer before it.
    """
    recipe = current_recipe(operator.work_dir)
    place = recipe.place_of(operator) if recipe is not None else None
    if recipe is None or place is None:
        return
    said = heard(recipe.config)
    if not rows and recipe.executor != "default":
        said = _heard_late(recipe)
    arrival = Arrival(recipe, place, said)
    for warning in arrival.warnings():
        logger.warning(f"{operator._name}: {warning}")
    # A partition may well lose all its rows, and others not.
    is_whole = recipe.executor != "ray_partitioned" or getattr(operator, "is_global_operation", False)
    if not rows and is_whole and arrival.had_rows():
        raise DatasetError(f"{operator._name}: {arrival.explanation()}")


def _heard_late(recipe: Recipe) -> RunLog:
    """Return what the log has said, once an error of a worker on Ray has had the time to reach the driver."""
    until = time.monotonic() + _LOG_DELAY_S
    while not (said := heard(recipe.config)).raised and time.monotonic() < until:
        time.sleep(0.1)
    return said


def warn_of_the_rest(recipe: Recipe) -> None:
    """Warn of operators of Data-Juicer after the last of ours that raised, once the run is over.

    :param recipe: the recipe.
    """
    ours = [number for number, step in enumerate(recipe.steps) if step.is_ours]
    rest = Arrival(recipe, len(recipe.steps), heard(recipe.config))
    for warning in rest.warnings():
        logger.warning(f"After {recipe.steps[ours[-1]].name}: {warning}")


def follows_others(operator: Any) -> bool:
    """Tell whether operators of Data-Juicer stand right before one of ours in a recipe.

    :param operator: an operator of ours.
    """
    recipe = current_recipe(operator.work_dir)
    place = recipe.place_of(operator) if recipe is not None else None
    return recipe is not None and bool(place) and not recipe.steps[(place or 0) - 1].is_ours


class Arrival:
    """The way to an operator of ours from the one of ours before it, or from the dataset.

    :param recipe: the recipe.
    :param place: position of the operator.
    :param said: what the log has said.
    """

    def __init__(self, recipe: Recipe, place: int, said: RunLog) -> None:
        self._recipe = recipe
        self._said = said
        ours = [number for number in range(place) if recipe.steps[number].is_ours]
        self._first = ours[-1] + 1 if ours else 0
        self._others = range(self._first, place)

    def warnings(self) -> list[str]:
        """Return a sentence on each operator on the way that raised."""
        return [
            f"{self._step(number).name} raised {self._said.raised[name]:,} time(s){self._counts(number)}, "
            f"first with: {self._said.errors.get(name)}. Data-Juicer has dropped every batch in which it did, unless "
            f"skip_op_error is false. Each error is in the log{_log(self._recipe)}."
            for number in self._others
            if (name := self._step(number).name) in self._said.raised
        ]

    def had_rows(self) -> bool:
        """Tell whether there were rows at the beginning of the way; where that is not known, there were."""
        before = self._rows_before(self._first)
        if before == 0 and not self._first:
            return _from_checkpoint() or bool(_rows_loaded())
        return bool(self._others) if before is None else before > 0

    def explanation(self) -> str:
        """Return where the rows have gone, as sentences."""
        if not self._first and self._rows_before(0) == 0:
            return _lost_at_the_start(self._recipe)
        raised = [self._step(number).name for number in self._others if self._step(number).name in self._said.raised]
        told = [self._step(number).name + self._counts(number) for number in self._others]
        text = f"no row has arrived, after {_listed(told)}. "
        if raised:
            error = self._said.errors.get(raised[0])
            return (
                f"{text}{_listed(raised)} raised ({error}), and Data-Juicer drops every batch in which an operator "
                f"raises. Look for 'An error occurred in {raised[0]}' in the log{_log(self._recipe)}, mend "
                "its parameters, and set skip_op_error: false for it to stop at the first error"
                f"{_NULL_ADVICE}."
            )
        return (
            f"{text}Either they filter too strictly, or one of them raised: Data-Juicer drops every batch in which an "
            f"operator raises. Look for 'An error occurred in' in the log{_log(self._recipe)}, and set "
            f"skip_op_error: false to have the run stop at the first error{_NULL_ADVICE}."
        )

    def _step(self, number: int) -> Step:
        return self._recipe.steps[number]

    def _rows_before(self, number: int) -> int | None:
        return self._said.left.get(number) if number else _rows_at_start()

    def _counts(self, number: int) -> str:
        before, after = self._rows_before(number), self._said.left.get(number + 1)
        if before is None or after is None:
            return ""
        return f" ({before:,} rows before it, {after:,} after)"


_NULL_ADVICE = "; an operator that reads text fails on null, and on a column that holds lists, such as messages"


def _lost_at_the_start(recipe: Recipe) -> str:
    if _from_checkpoint():
        return (
            "the checkpoint from which Data-Juicer went on holds no rows: they were lost in an earlier run. Remove the "
            f"folder ckpt in {recipe.config.work_dir}, and look into the log of that run."
        )
    keys = _listed([f"'{key}'" for key in recipe.text_keys])
    return (
        f"no row has arrived: Data-Juicer has dropped all {_rows_loaded():,} while loading, since each is null in one "
        f"of the columns that text_keys names ({keys}); name other columns there."
    )


def _frames() -> Any:
    frame = sys._getframe(1)
    while frame is not None:
        yield frame
        frame = frame.f_back  # type: ignore[assignment]


def _rows_at_start() -> int | None:
    """Return the number of rows that the first operator of the recipe was given; None where it is not known.

    Data-Juicer logs what each operator leaves, but not what the first one gets; its own frames hold it.
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
    """Return the number of rows that Data-Juicer's loader has found before it drops some; 0: unknown."""
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
