"""What each operator did in a run, as a small JSON in the run's work dir, and the summary line in the log."""

from __future__ import annotations

import json
import os
import time
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from pathlib import Path
from typing import Any

from loguru import logger

MANIFEST_DIR = "mergeit"
FORMAT_VERSION = 1


class Manifest:
    """The record of one operator's work; filled while it runs, written when it is done.

    :param operator: registry name.
    :param parameters: the operator's parameters, without secrets.
    """

    def __init__(self, operator: str, parameters: Mapping[str, Any]) -> None:
        self.figures: dict[str, Any] = {}
        self.details: dict[str, Any] = {}
        self._head = {"format_version": FORMAT_VERSION, "operator": operator, "parameters": dict(parameters)}

    def write(self, work_dir: str) -> Path:
        """Write the record as the next numbered file below the work dir and return its path."""
        folder = Path(work_dir) / MANIFEST_DIR
        folder.mkdir(parents=True, exist_ok=True)
        text = json.dumps(self._head | {"figures": self.figures} | self.details, ensure_ascii=False, default=str)
        number = len(list(folder.glob("*.json"))) + 1
        while True:
            path = folder / f"{number:02d}_{self._head['operator']}.json"
            try:
                # Exclusive, so that two processes never share a number.
                with path.open("x", encoding="utf-8") as file:
                    file.write(text)
                return path
            except FileExistsError:
                number += 1


@contextmanager
def recorded(operator: str, parameters: Mapping[str, Any], work_dir: str | None) -> Iterator[Manifest]:
    """Give a manifest to fill; on success log its figures and write it.

    :param operator: registry name.
    :param parameters: the operator's parameters, without secrets.
    :param work_dir: the run's work dir; None (an operator used on its own) writes nothing.
    """
    manifest = Manifest(operator, parameters)
    started = time.perf_counter()
    yield manifest
    manifest.figures["seconds"] = round(time.perf_counter() - started, 3)
    logger.info(f"{operator}: {_readable(manifest.figures)}")
    if work_dir is None:
        return
    try:
        manifest.write(work_dir)
    except OSError as error:
        logger.warning(
            f"{operator}: the manifest could not be written to {os.path.join(work_dir, MANIFEST_DIR)}: {error}"
        )


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
    figures = [record["figures"] for record in records]
    if not figures:
        return
    summary: dict[str, Any] = {
        "rows_in": next((part["rows_in"] for part in figures if "rows_in" in part), None),
        "rows_out": next((part["rows_out"] for part in reversed(figures) if "rows_out" in part), None),
    }
    for part in figures:
        summary |= {name: part[name] for name in _SUMMARISED if name in part}
    summary["seconds"] = round(sum(part.get("seconds", 0) for part in figures), 1)
    logger.info(f"MergeIT summary: {_readable(summary)}")


_SUMMARISED = (
    "topics",
    "pairs",
    "merged",
    "accepted",
    "restored_rows",
    "rejected",
    "failed",
    "calls",
    "cache_hits",
    "prompt_tokens",
    "completion_tokens",
)


def _readable(figures: Mapping[str, Any]) -> str:
    parts = []
    for name, value in figures.items():
        if isinstance(value, Mapping):
            inner = ", ".join(f"{key} {count}" for key, count in value.items())
            value = f"({inner})" if inner else "none"
        parts.append(f"{name.replace('_', ' ')} {value}")
    return "; ".join(parts)
