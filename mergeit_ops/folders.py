"""Folders that runs share, and the folder of the bundled recipes."""

from __future__ import annotations

import os
from pathlib import Path

__all__ = ["CACHE_DIR_VARIABLE", "RECIPES", "cache_folder", "recipe_files", "shipped_recipes"]

CACHE_DIR_VARIABLE = "MERGEIT_CACHE_DIR"
"""Environment variable that names the cache folder."""

RECIPES = "recipes"
"""Name of the folder of the bundled recipes."""


def cache_folder() -> Path:
    """Return the folder in which results are stored for later runs: $MERGEIT_CACHE_DIR, or a folder in the user's cache
    folder."""
    folder = os.environ.get(CACHE_DIR_VARIABLE)
    if folder:
        return Path(folder)
    import platformdirs

    return Path(platformdirs.user_cache_dir("mergeit-ops", appauthor=False))


def shipped_recipes() -> Path:
    """Return the folder of the bundled recipes."""
    package = Path(__file__).parent
    # A wheel has the recipes inside the package; a clone has them next to it.
    inside = package / RECIPES
    return inside if inside.is_dir() else package.parent / RECIPES


def recipe_files(folder: Path) -> list[Path]:
    """Return the files of recipes in a folder and its folders, outer ones first."""
    return sorted(folder.rglob("*.yaml"), key=lambda path: (len(path.parts), path))
