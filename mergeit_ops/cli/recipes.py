"""`recipes`: list the bundled recipes, or copy them into a folder."""

from __future__ import annotations

import argparse
import shutil
from collections.abc import Iterator
from pathlib import Path

from mergeit_ops.cli.terminal import say
from mergeit_ops.errors import DatasetError
from mergeit_ops.folders import RECIPES, recipe_files, shipped_recipes

NAME = "recipes"
HELP = "List the bundled recipes, or copy them and their sample data into a folder."

EXAMPLE = ("recipes", "recipes --copy .")


def add_arguments(parser: argparse.ArgumentParser) -> None:
    """Declare the command's options."""
    parser.add_argument("--copy", type=Path, metavar="FOLDER", help=f"make FOLDER/{RECIPES}, which must not exist yet")


def run(options: argparse.Namespace) -> int:
    """Print the recipes, or copy their folder."""
    shipped = shipped_recipes()
    if options.copy is None:
        for path, about in _listed(shipped):
            say(f"{path}\n    {about}")
        return 0
    target = options.copy / RECIPES
    if target.exists():
        raise DatasetError(
            f"--copy: '{target}' exists already. Name another folder, so that your recipes are not overwritten."
        )
    try:
        shutil.copytree(shipped, target)
    except (OSError, shutil.Error) as error:
        raise DatasetError(f"--copy: '{target}' cannot be written ({error}).") from error
    example = target / "mergeit_quickstart.yaml"
    say(f"{len(list(target.rglob('*.yaml')))} recipes are in {target}.")
    where = "" if target.parent.resolve() == Path.cwd() else f"cd {options.copy} && "
    say(f"Try one: {where}dj-process --config {example.relative_to(options.copy)}")
    return 0


def _listed(folder: Path) -> Iterator[tuple[str, str]]:
    for path in recipe_files(folder):
        with path.open(encoding="utf-8") as lines:
            yield f"{RECIPES}/{path.relative_to(folder).as_posix()}", next(lines).lstrip("# ").strip()
