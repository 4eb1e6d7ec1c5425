"""What each operator did in a run, as a small JSON in the run's work dir, and the summary line in the log."""

from __future__ import annotations

import json
import os
import time
import uuid
from collections.abc import Iterable, Iterator, Mapping
from contextlib import contextmanager
from contextvars import ContextVar
from pathlib import Path
from typing import Any

from loguru import logger

from mergeit_ops.dataset.recipe import current_recipe

MANIFEST_DIR = "mergeit"
FORMAT_VERSION = 1
EXPORT_PATH = "export_path"
PROCESS = "process"
TOPIC_SIZES = "topic_sizes"
"""Of the grouper: rows of each topic, by its id. The export shows only those that were selected."""

_RUN_ID = uuid.uuid4().hex
"""One per process, as dj-process is one run: a work dir that is used again (`job_id`) holds the records of several."""

_ALSO_NOTED: ContextVar[Mapping[str, Any] | None] = ContextVar("_ALSO_NOTED", default=None)


class Manifest:
    """The record of one operator's work; filled while it runs, written when it is done.

    :param operator: registry name.
    :param parameters: the operator's parameters, without secrets.
    """

    def __init__(self, operator: str, parameters: Mapping[str, Any]) -> None:
        self.figures: dict[str, Any] = dict(_ALSO_NOTED.get() or {})
        self.details: dict[str, Any] = {}
        self._head = {
            "format_version": FORMAT_VERSION,
            "run": _RUN_ID,
            "operator": operator,
            "parameters": dict(parameters),
        }

    def finish(self, seconds: float, work_dir: str | None) -> None:
        """Log the figures and write the record; a record that cannot be written is a warning, not an error.

        :param seconds: wall time of the operator.
        :param work_dir: the run's work dir; None writes nothing.
        """
        self.figures["seconds"] = round(seconds, 3)
        operator = self._head["operator"]
        logger.info(f"{operator}: {_readable(self.figures)}")
        if work_dir is None:
            return
        try:
            self.write(work_dir)
        except OSError as error:
            logger.warning(f"{operator}: the manifest could not be written below {work_dir}: {error}")

    def write(self, work_dir: str) -> Path:
        """Write the record as the next numbered file below the work dir and return its path."""
        folder = Path(work_dir) / MANIFEST_DIR
        folder.mkdir(parents=True, exist_ok=True)
        record = self._head | _recipe_of(work_dir) | {"figures": self.figures} | self.details
        text = json.dumps(record, ensure_ascii=False, default=str)
        number = len(list(folder.glob("*.json"))) + 1
        while True:
            path = folder / f"{number:03d}_{self._head['operator']}.json"
            try:
                # Exclusive, so that two processes never share a number.
                with path.open("x", encoding="utf-8") as file:
                    file.write(text)
                return path
            except FileExistsError:
                number += 1


def _recipe_of(work_dir: str) -> dict[str, Any]:
    """Return where the run exports to, and the names of all operators of its recipe.

    With them an export finds its run, and what became of its rows after our operators can be put down to someone.
    """
    recipe = current_recipe(work_dir)
    if recipe is None:
        return {}
    return {EXPORT_PATH: recipe.export_path, PROCESS: [step.name for step in recipe.steps]}


@contextmanager
def also_noted(figures: Mapping[str, Any]) -> Iterator[None]:
    """Have the records that are begun meanwhile hold figures that their operators do not know of."""
    token = _ALSO_NOTED.set(figures)
    try:
        yield
    finally:
        _ALSO_NOTED.reset(token)


@contextmanager
def recorded(operator: str, parameters: Mapping[str, Any], work_dir: str | None) -> Iterator[Manifest]:
    """Give a manifest to fill; log its figures and write it, also when the operator stops with an error.

    :param operator: registry name.
    :param parameters: the operator's parameters, without secrets.
    :param work_dir: the run's work dir; None (an operator used on its own) writes nothing.
    """
    manifest = Manifest(operator, parameters)
    started = time.perf_counter()
    try:
        yield manifest
    except BaseException as error:
        manifest.details["stopped"] = type(error).__name__
        raise
    finally:
        manifest.finish(time.perf_counter() - started, work_dir)


def read_manifests(work_dir: str | os.PathLike[str]) -> list[dict[str, Any]]:
    """Return the records of a run in the order of its operators; empty when there are none."""
    return [
        json.loads(path.read_text(encoding="utf-8")) for path in sorted((Path(work_dir) / MANIFEST_DIR).glob("*.json"))
    ]


def log_summary(work_dir: str | None) -> None:
    """Log one line on the run so far: what went in, what came out, what it cost.

    :param work_dir: the run's work dir; None logs nothing.
    """
    records = read_manifests(work_dir) if work_dir is not None else []
    figures = [record["figures"] for record in records if record["run"] == _RUN_ID]
    if not figures:
        return
    summary: dict[str, Any] = {
        "rows_in": next((part["rows_in"] for part in figures if "rows_in" in part), None),
        "rows_out": next((part["rows_out"] for part in reversed(figures) if "rows_out" in part), None),
    }
    for part in figures:
        for name in _SUMMARISED:
            if name not in part:
                continue
            if name == "scoring" and name in summary:
                summary[f"scoring_{sum(key.startswith(name) for key in summary) + 1}"] = part[name]
            elif name in _ADDED_UP:
                summary[name] = summary.get(name, 0) + part[name]
            else:
                summary[name] = part[name]
    summary["seconds"] = round(sum(part.get("seconds", 0) for part in figures), 1)
    logger.info(f"MergeIT summary: {_readable(summary)}")


def added_up(parts: Iterable[Mapping[str, Any]]) -> dict[str, Any]:
    """Return the figures of the parts of one piece of work as those of the whole.

    :param parts: of the same names: numbers are summed, lists joined, mappings added up in turn; of anything else the
        first counts.
    """
    total: dict[str, Any] = {}
    for part in parts:
        _add(total, part)
    return total


def _add(total: dict[str, Any], part: Mapping[str, Any]) -> None:
    # In place: many parts, each with its share of a long list, would else be copied over and over.
    for name, value in part.items():
        if isinstance(value, Mapping):
            _add(total.setdefault(name, {}), value)
        elif isinstance(value, list):
            total.setdefault(name, []).extend(value)
        elif name not in total:
            total[name] = value
        elif isinstance(value, (int, float)) and not isinstance(value, bool):
            total[name] += value


_ADDED_UP = ("calls", "cache_hits", "prompt_tokens", "completion_tokens", "lost_prompt_tokens", "cost")
"""Figures that several operators of one kind in a recipe each have their share of."""

_SUMMARISED = (
    "dropped_by_loader",
    "read_as_timestamps",
    "topics",
    "pairs",
    "merged",
    "accepted",
    "restored_rows",
    "rejected",
    "filtered_out",
    "failed",
    "unmergeable",
    "emptied_columns",
    "planned_calls",
    "planned_cache_hits",
    "planned_prompt_tokens",
    "planned_completion_tokens",
    "planned_cost",
    "calls",
    "cache_hits",
    "prompt_tokens",
    "completion_tokens",
    "lost_prompt_tokens",
    "cache_write_failures",
    "last_errors",
    "answered_as",
    "dropped_parameters",
    "cost",
    "scoring",
)


def _readable(figures: Mapping[str, Any]) -> str:
    return "; ".join(f"{name.replace('_', ' ')} {_shown(value)}" for name, value in figures.items())


def _shown(value: Any) -> str:
    if not isinstance(value, Mapping):
        return str(value)
    inner = ", ".join(f"{key} {_shown(part)}" for key, part in value.items())
    return f"({inner})" if inner else "none"
