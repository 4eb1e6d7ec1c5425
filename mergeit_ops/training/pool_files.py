"""The files of a set, one for each pool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mergeit_ops.errors import DatasetError

__all__ = ["files_of"]


def files_of(given: Path, pools: Sequence[Path]) -> list[Path]:
    """Return the files of a set, one for each pool.

    With one pool this is the set itself. With several pools, the set is a folder, and each file has the name of its
    pool.

    :param given: a file or a folder.
    :param pools: files or folders with different names.
    :raises DatasetError: if a file or folder is missing, or two pools have the same name.
    """
    for path in (given, *pools):
        if not path.exists():
            raise DatasetError(f"There is no file or folder {path}.")
    if len(pools) == 1:
        return [given]
    by_name: dict[str, Path] = {}
    for pool in pools:
        if pool.name in by_name:
            raise DatasetError(
                f"--pool: {by_name[pool.name]} and {pool} have the same name. The files of a set have the names of "
                "the pools, so rename one."
            )
        by_name[pool.name] = pool
    if not given.is_dir():
        raise DatasetError(
            f"--pool names {len(pools)} pools, so each set must be a folder with one file for each pool, but {given} "
            "is a file."
        )
    missing = [name for name in by_name if not (given / name).exists()]
    if missing:
        raise DatasetError(
            f"{given} has no {', '.join(missing)}: with several pools, a set is a folder with one file for each pool, "
            "and the file has the name of the pool."
        )
    return [given / name for name in by_name]
