"""Where a dry run exports its rows: not where a result is looked for."""

from __future__ import annotations

import sys
from pathlib import PurePosixPath
from typing import Any

from loguru import logger

__all__ = ["MARK", "export_apart", "marked"]

MARK = ".dry_run"
"""Stands in the name of what a dry run exports."""


def marked(path: str) -> str:
    """Return the path that a dry run exports to.

    :param path: of the export, or an address.
    :return: the same with the mark before the suffix.
    """
    # By its last part alone: an address has slashes that a path would lose.
    head, slash, name = path.rstrip("/").rpartition("/")
    suffix = PurePosixPath(name).suffix
    stem = name.removesuffix(suffix)
    return path if stem.endswith(MARK) else f"{head}{slash}{stem}{MARK}{suffix}"


def export_apart(config: Any) -> None:
    """Have the run that is being built export to another path, so that nobody takes its rows for a result.

    Data-Juicer exports whatever comes out at the end, and has made its exporter before it builds the operators. So both
    the configuration and the exporter are told. A result that is at the path from an earlier run stays.

    :param config: Data-Juicer's, of the recipe that runs.
    """
    path = getattr(config, "export_path", None)
    if not isinstance(path, str) or marked(path) == path:
        return
    exporter = _exporter_to(path)
    if exporter is None:
        return
    exporter.export_path = config.export_path = marked(path)
    logger.info(f"Dry run: nothing is exported to {path}. The rows as they are go to {config.export_path}.")


def _exporter_to(path: str) -> Any:
    """Return the exporter of the executor that builds the operators; None if none does."""
    frame = sys._getframe(1)
    while frame is not None:
        exporter = getattr(frame.f_locals.get("self"), "exporter", None)
        if getattr(exporter, "export_path", None) == path:
            return exporter
        frame = frame.f_back  # type: ignore[assignment]
    return None
