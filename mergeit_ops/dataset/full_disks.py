"""Disks without room for Data-Juicer's files: the export, its caches and its temporary files."""

from __future__ import annotations

import os
import shutil
import tempfile
from collections.abc import Iterator, Sequence
from pathlib import Path

from mergeit_ops.core.disk import is_full
from mergeit_ops.dataset.last_words import explain_failures
from mergeit_ops.dataset.recipe import Recipe

__all__ = ["explain_full_disks", "no_room_for_export"]

_FULL = 2**19
"""Free bytes below which a disk counts as full; a part of the unwritten file may be deleted already."""

_TEXTS = (".json", ".jsonl")
_SURELY_MORE = 0.25
"""Smallest size of a dataset's JSON as a share of its bytes in memory: `0,` for eight bytes."""

_explained: Recipe | None = None


def no_room_for_export(bytes_in_memory: int, recipe: Recipe) -> str | None:
    """Return why an export cannot be written, as a sentence; None if there may be room.

    :param bytes_in_memory: size of the rows.
    :param recipe: recipe of the run.
    """
    export = _local(recipe.export_path)
    if export is None or export.suffix not in _TEXTS:
        return None
    earlier = export.stat().st_size if export.is_file() else 0
    free = _free(export.parent)
    needed = _SURELY_MORE * bytes_in_memory
    if free is None or free + earlier >= needed:
        return None
    return (
        f"the disk that holds {export.parent} has {free / 2**20:,.1f} MiB left, and the export takes more than "
        f"{needed / 2**20:,.1f} MiB. Make room there, or set export_path to another folder"
    )


def explain_full_disks(recipe: Recipe) -> None:
    """If this process ends because a disk is full, make it name the disk and the remedy.

    Data-Juicer and Ray raise the system's error, which says neither.

    :param recipe: recipe of the run.
    """
    global _explained
    _explained = recipe
    explain_failures(_explanation)


def _explanation(causes: Sequence[BaseException]) -> str | None:
    return _sentence(_explained) if _explained is not None and any(map(is_full, causes)) else None


def _sentence(recipe: Recipe) -> str:
    places = list(_places(recipe))
    full = [(folder, otherwise) for folder, otherwise in places if _is_full(folder)]
    named = " ".join(
        f"The disk that holds {folder} is full. Make room there, or {otherwise}." for folder, otherwise in full
    )
    if not named:
        others = "; ".join(f"{folder} ({otherwise})" for folder, otherwise in places)
        named = f"A disk was full. Make room on it, or use other folders: {others}."
    return f"{named} A new run uses the answers in the journal (cache_path) and does not pay for them again."


def _places(recipe: Recipe) -> Iterator[tuple[Path, str]]:
    """Yield the folders that a run writes to, each with the way to choose another."""
    export = _local(recipe.export_path)
    if export is not None:
        yield export.parent, "set export_path to another folder"
    work_dir = getattr(recipe.config, "work_dir", None)
    if work_dir:
        yield Path(work_dir), "set work_dir to another folder"
    yield Path(tempfile.gettempdir()), "set the environment variable TMPDIR to another folder"
    if recipe.executor == "default":
        from datasets import config

        yield Path(config.HF_DATASETS_CACHE), "set the environment variable HF_DATASETS_CACHE to another folder"
    else:
        yield (
            Path(os.environ.get("RAY_TMPDIR") or "/tmp/ray"),
            "set the environment variable RAY_TMPDIR to another folder",
        )


def _local(path: str | None) -> Path | None:
    return None if path is None or "://" in path else Path(path)


def _is_full(folder: Path) -> bool:
    free = _free(folder)
    return free is not None and free < _FULL


def _free(folder: Path) -> int | None:
    """Return the free bytes of a folder's disk; the folder need not exist yet."""
    existing = next((parent for parent in (folder, *folder.parents) if parent.exists()), None)
    try:
        return None if existing is None else shutil.disk_usage(existing).free
    except OSError:
        return None
