"""Which file of a set belongs to which pool."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mergeit_ops.errors import DatasetError

__all__ = ["files_of"]


def files_of(given: Path, pools: Sequence[Path]) -> list[Path]:
    """Return the files of a set: itself for one pool; for several, the one in its folder that is named like each.

    :param given: a file or a folder.
    :param pools: files or folders, each with a name of its own.
    :raises DatasetError: if something is not there, or two pools have the same name.
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
                f"--pool: {by_name[pool.name]} and {pool} have the same name, by which the files of a set are found; "
                "rename one."
            )
        by_name[pool.name] = pool
    if not given.is_dir():
        raise DatasetError(
            f"--pool names {len(pools)} pools, so that each set is a folder with a file for each of them; {given} is a "
            "file."
        )
    missing = [name for name in by_name if not (given / name).exists()]
    if missing:
        raise DatasetError(
            f"{given} has no {', '.join(missing)}: with several pools, a set is a folder with a file for each pool, "
            "named like it."
        )
    return [given / name for name in by_name]
