"""Fitted models in a folder, found by what they were fitted to or by name."""

from __future__ import annotations

import os
import uuid
from contextlib import suppress
from pathlib import Path

from mergeit_ops.embedding.static.model import StaticModel
from mergeit_ops.errors import EmbeddingError
from mergeit_ops.folders import cache_folder

__all__ = ["folder", "named", "names", "of_fit", "store"]

_SUFFIX = ".npz"


def folder() -> Path:
    """Return the folder of this machine's models."""
    return cache_folder() / "static_models"


def of_fit(place: Path, fit: str) -> StaticModel | None:
    """Return the model that an earlier run has fitted to the same rows; None if there is no readable one.

    :param place: the folder.
    :param fit: digest of everything that the fit depends on.
    """
    return _first_whole(place, f"{fit}.static-*{_SUFFIX}")


def named(place: Path, name: str) -> StaticModel:
    """Return the model with a name.

    :param place: the folder.
    :param name: see `StaticModel.name`.
    :raises EmbeddingError: if it does not exist, or its file is damaged.
    """
    found = _first_whole(place, f"*.{name}{_SUFFIX}")
    if found is None:
        raise EmbeddingError(
            f"The embedding model '{name}' was fitted to the rows of another run, and {place} does not hold it, or "
            "holds a damaged file; run the operator again that has embedded the rows with embedding_model: static, or "
            "copy the file of that name from the cache folder of the machine that fitted it."
        )
    return found


def names(place: Path) -> list[str]:
    """Return the names of the models in a folder, the newest first, including those with damaged files.

    :param place: the folder.
    """
    paths = sorted(place.glob(f"*.static-*{_SUFFIX}"), key=_age)
    return list(dict.fromkeys(path.name.split(".")[1] for path in paths))


def _age(path: Path) -> float:
    try:
        return -path.stat().st_mtime
    except OSError:  # it was just removed
        return 0.0


def store(place: Path, fit: str, model: StaticModel) -> None:
    """Store a model for later runs.

    :param place: the folder, which is created if needed.
    :param fit: digest of everything that the fit depends on.
    :param model: the model.
    :raises OSError: if it cannot be written.
    """
    path = place / f"{fit}.{model.name}{_SUFFIX}"
    temporary = path.with_name(f".{uuid.uuid4().hex}.tmp")
    try:
        place.mkdir(parents=True, exist_ok=True)
        temporary.write_bytes(model.to_bytes())
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _first_whole(place: Path, pattern: str) -> StaticModel | None:
    for path in sorted(place.glob(pattern)):
        # The name contains the hash of the content, so a damaged file can be recognised.
        with suppress(OSError, ValueError):
            model = StaticModel.of_bytes(path.read_bytes())
            if path.name.endswith(f".{model.name}{_SUFFIX}"):
                return model
    return None
