"""The export of a dry run, which must not look like a result."""

from __future__ import annotations

import shutil
import sys
from pathlib import Path, PurePosixPath
from typing import Any

from loguru import logger

__all__ = ["MARK", "export_apart", "marked"]

MARK = ".dry_run"
"""Part of the file name of a dry run's export."""


def marked(path: str) -> str:
    """Return the export path of a dry run.

    :param path: export path of the recipe, or an address such as `s3://...`.
    :return: this path with the mark before its suffix.
    """
    # By its last part alone: an address has slashes that a path would lose.
    head, slash, name = path.rstrip("/").rpartition("/")
    suffix = PurePosixPath(name).suffix
    stem = name.removesuffix(suffix)
    return path if stem.endswith(MARK) else f"{head}{slash}{stem}{MARK}{suffix}"


def export_apart(config: Any) -> None:
    """Change the export path of the run, so that nobody takes its rows for a result.

    Data-Juicer exports whatever comes out at the end, and has made its exporter before it builds the operators. So both
    the configuration and the exporter get the other path. A result at the path from an earlier run stays.

    The run writes one file, because Data-Juicer cuts the mark off the names of shards. It leaves no checkpoint, because
    the next run would export the rows of the checkpoint as a result. On Ray, Data-Juicer adds its files to those of an
    earlier run, so the folder of an earlier dry run is removed.

    :param config: Data-Juicer's configuration of the run.
    """
    path = getattr(config, "export_path", None)
    if not isinstance(path, str) or marked(path) == path:
        return
    executor = _executor_that_exports_to(path)
    if executor is None:
        return
    exporter = executor.exporter
    exporter.export_path = config.export_path = marked(path)
    if getattr(exporter, "export_shard_size", 0):
        exporter.export_shard_size = config.export_shard_size = 0
    checkpoints = getattr(executor, "ckpt_manager", None)
    if checkpoints is not None and hasattr(checkpoints, "checkpoint_enabled"):
        checkpoints.checkpoint_enabled = False
    elif checkpoints is not None:
        executor.ckpt_manager = None
    if Path(config.export_path).is_dir():
        shutil.rmtree(config.export_path, ignore_errors=True)
    logger.info(f"Dry run: nothing is exported to {path}. The rows as they are go to {config.export_path}.")


def _executor_that_exports_to(path: str) -> Any:
    """Return the executor that builds the operators; None if there is none."""
    frame = sys._getframe(1)
    while frame is not None:
        candidate = frame.f_locals.get("self")
        if getattr(getattr(candidate, "exporter", None), "export_path", None) == path:
            return candidate
        frame = frame.f_back  # type: ignore[assignment]
    return None
