"""Folders that runs share."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["CACHE_DIR_VARIABLE", "cache_folder"]

CACHE_DIR_VARIABLE = "MERGEIT_CACHE_DIR"
"""Environment variable that names the cache folder."""


def cache_folder() -> Path:
    """Return the folder in which results are stored for later runs: $MERGEIT_CACHE_DIR, or a folder in the user's cache
    folder."""
    folder = os.environ.get(CACHE_DIR_VARIABLE)
    if folder:
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_cache_dir("mergeit-ops", appauthor=False))
