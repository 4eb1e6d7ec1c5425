"""The record of each operator's work in a run, a small JSON file in the run's work dir, and the summary line in the
log."""

from __future__ import annotations

import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from loguru import logger

from mergeit_ops.core.disk import unwritable
from mergeit_ops.dataset.recipe import current_recipe
from mergeit_ops.dataset.record_files import MANIFEST_DIR, claim_file, read_files, replace_file
from mergeit_ops.dataset.summary import nothing_merged, readable, summary_of

__all__ = [
    "DONE",
    "EXPORT_PATH",
    "FORMAT_VERSION",
    "MANIFEST_DIR",
    "PROCESS",
    "RECIPE",
    "ROLES",
    "RUNNING",
    "STOPPED",
    "TOPIC_SIZES",
    "Manifest",
    "added_up",
    "log_summary",
    "read_manifests",
    "recorded",
    "run_of",
]

FORMAT_VERSION = 2
"""Format 1 had no `place`, `state`, `started` and `role`, and no records of running operators."""

EXPORT_PATH = "export_path"
PROCESS = "process"
RECIPE = "recipe"
"""Name of the file that holds the recipe."""
ROLES = "roles"
"""Roles of our operators in the recipe, by registry name."""

TOPIC_SIZES = "topic_sizes"
"""Number of rows in each topic, by topic id (written by the grouper). The export shows only the selected rows."""

RUNNING, DONE, STOPPED = "running", "done", "stopped"
"""States of a record: the operator is running, or its process was killed; it is done; it raised an error."""

_RUN_ID = uuid.uuid4().hex
_recipes: list[Any] = []
"""The configurations of this process's runs; a test or a notebook runs several."""


def run_of(work_dir: str | None) -> str:
    """Return the id of the current run. It is needed because a reused work dir (`job_id`) holds the records of several
    runs.

    :param work_dir: work dir of the calling operator.
    """
    recipe = current_recipe(work_dir) if work_dir is not None else None
    if recipe is None:
        return _RUN_ID
    number = next((at for at, config in enumerate(_recipes) if config is recipe.config), len(_recipes))
    if number == len(_recipes):
        _recipes.append(recipe.config)
    return f"{_RUN_ID}-{number + 1}" if number else _RUN_ID


_ALSO_NOTED: ContextVar[Mapping[str, Any] | None] = ContextVar("_ALSO_NOTED", default=None)


class Manifest:
    """The record of an operator's work. It is begun when the operator starts, filled while it runs, and completed when
    it is done.

    :param operator: registry name.
    :param parameters: the operator's parameters, without secrets.
    :param place: its position in the recipe, from 0; None: it is found by name, if the recipe has the operator only
        once.
    :param role: the operator's description of itself: its kind, its input and output, whether it may drop rows.
    """

    def __init__(
        self,
        operator: str,
        parameters: Mapping[str, Any],
        *,
        place: int | None = None,
        role: Mapping[str, Any] | None = None,
    ) -> None:
        self.figures: dict[str, Any] = dict(_ALSO_NOTED.get() or {})
        self.details: dict[str, Any] = {}
        self.operator = operator
        self._parameters = dict(parameters)
        self._place = place
        self._role = dict(role or {})
        self._head: dict[str, Any] = {}
        self._path: Path | None = None
        self._warned = False

    def begin(self, work_dir: str | None) -> None:
        """Write the record with the state `running`.

        :param work_dir: the run's work dir; None: nothing is written.
        """
        recipe = current_recipe(work_dir) if work_dir is not None else None
        names = [] if recipe is None else [step.name for step in recipe.steps]
        if self._place is None and names.count(self.operator) == 1:
            self._place = names.index(self.operator)
        self._head = {
            "format_version": FORMAT_VERSION,
            "run": run_of(work_dir),
            "place": self._place,
            "operator": self.operator,
            "role": self._role,
            "parameters": self._parameters,
            "started": time.time(),
        }
        if recipe is not None:
            # They link an export to its run, and name the operators after ours that may have changed its rows.
            self._head |= {EXPORT_PATH: recipe.export_path, PROCESS: names, ROLES: recipe.roles()}
            self._head[RECIPE] = recipe.file_name
        if work_dir is not None:
            self._write(work_dir, RUNNING)

    def finish(self, seconds: float, work_dir: str | None) -> None:
        """Log the figures and complete the record; warn if the record cannot be written.

        :param seconds: wall time of the operator.
        :param work_dir: the run's work dir; None: nothing is written.
        """
        if not self._head:
            self.begin(work_dir)
        self.figures["seconds"] = round(seconds, 3)
        logger.info(f"{self.operator}: {readable(self.figures)}")
        stopped = "stopped" in self.details or "incomplete" in self.details
        if self.figures.get("rows_out") == 0 and not stopped:
            fate = "no rows reached it" if self.figures.get("rows_in") == 0 else "no rows are left"
            logger.warning(
                f"{self.operator}: {fate}, so the export will be empty; check the bounds and filters of the recipe "
                "up to this operator."
            )
        if work_dir is not None:
            self._write(work_dir, STOPPED if stopped else DONE)

    def _write(self, work_dir: str, state: str) -> None:
        record = {**self._head, "state": state, "figures": self.figures, **self.details}
        try:
            if self._path is None:
                self._path = claim_file(work_dir, record)
            else:
                replace_file(self._path, record)
        except OSError as error:
            if not self._warned:
                self._warned = True
                reason = unwritable(error, Path(work_dir) / MANIFEST_DIR, "set work_dir to another folder")
                logger.warning(
                    f"{self.operator}: its record could not be written: {reason} The run continues, but verify and "
                    "report will know less about it."
                )


@contextmanager
def also_noted(figures: Mapping[str, Any]) -> Iterator[None]:
    """Add figures that the operators do not know to the records begun inside this context."""
    token = _ALSO_NOTED.set(figures)
    try:
        yield
    finally:
        _ALSO_NOTED.reset(token)


@contextmanager
def recorded(
    operator: str,
    parameters: Mapping[str, Any],
    work_dir: str | None,
    *,
    place: int | None = None,
    role: Mapping[str, Any] | None = None,
) -> Iterator[Manifest]:
    """Yield a manifest to fill; log its figures and complete it, even if the operator stops with an error.

    :param operator: registry name.
    :param parameters: the operator's parameters, without secrets.
    :param work_dir: the run's work dir; None (the operator is used without a recipe): nothing is written.
    :param place: see `Manifest`.
    :param role: see `Manifest`.
    """
    manifest = Manifest(operator, parameters, place=place, role=role)
    started = time.perf_counter()
    manifest.begin(work_dir)
    try:
        yield manifest
    except BaseException as error:
        manifest.details["stopped"] = type(error).__name__
        raise
    finally:
        manifest.finish(time.perf_counter() - started, work_dir)


def read_manifests(work_dir: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the records in a work dir, run by run and in the order of the recipe; empty if there are none.

    This includes operators that are running, or whose process was killed: their `state` is `running`. Other files are
    skipped with a warning.
    """
    return read_files(work_dir)


def log_summary(work_dir: str | None, merging_only: bool = False) -> None:
    """Log one line about the run so far: rows in, rows out, and cost. If nothing was merged, a warning says why.

    :param work_dir: the run's work dir; None: nothing is logged.
    :param merging_only: whether to log nothing if the run has no merger so far.
    """
    if work_dir is None:
        return
    run = run_of(work_dir)
    figures = [record["figures"] for record in read_manifests(work_dir) if record["run"] == run]
    if any("pairs" in part or not merging_only for part in figures if part):
        logger.info(f"MergeIT summary: {readable(summary_of(figures))}")
        if (why := nothing_merged(figures)) is not None:
            logger.warning(f"MergeIT summary: {why}")


def added_up(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Add up the figures of the parts of one piece of work.

    :param parts: figures with the same names. Numbers are summed, lists are joined, and mappings are added up in the
        same way; for anything else the first value is kept.
    """
    total: dict[str, Any] = {}
    for part in parts:
        _add(total, part)
    return total


def _add(total: dict[str, Any], part: Mapping[str, Any]) -> None:
    # In place, because many parts, each with a part of a long list, would otherwise be copied again and again.
    for name, value in part.items():
        if isinstance(value, Mapping):
            _add(total.setdefault(name, {}), value)
        elif isinstance(value, list):
            total.setdefault(name, []).extend(value)
        elif name not in total:
            total[name] = value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            total[name] += value
