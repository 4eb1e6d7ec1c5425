"""Check what is in a wheel and a source archive: the package whole, with weights and licences, and nothing else."""

from __future__ import annotations

import sys
import tarfile
import zipfile
from pathlib import Path

REPOSITORY = Path(__file__).resolve().parents[1]

_NEEDED = (
    "mergeit_ops/scorers/distilled_weights/weights.npz",
    "mergeit_ops/scorers/distilled_weights/config.json",
    "mergeit_ops/scorers/distilled_weights/LICENSE",
    "mergeit_ops/py.typed",
)
_JUNK = ("__pycache__", ".pyc", "tests/", "benchmarks/", "outputs/", ".venv")


def package_files() -> set[str]:
    """Return the files of the package, as they are in the repository."""
    files = (path for path in (REPOSITORY / "mergeit_ops").rglob("*") if path.is_file())
    return {path.relative_to(REPOSITORY).as_posix() for path in files if "__pycache__" not in path.parts}


def recipe_files(folder: str = "") -> set[str]:
    """Return the recipes and their data, as they are in an archive.

    :param folder: of the archive that has the folder `recipes`, with a slash behind it.
    """
    files = (path for path in (REPOSITORY / "recipes").rglob("*") if path.is_file())
    return {folder + path.relative_to(REPOSITORY).as_posix() for path in files}


def faults(names: set[str], kind: str, recipes: set[str]) -> list[str]:
    """Return what is wrong with an archive, a sentence each.

    :param names: paths in the archive, without the folder that a source archive has around them.
    :param kind: what it is, for the sentences.
    :param recipes: paths of the recipes in it.
    """
    missing = sorted((package_files() | recipes | set(_NEEDED)) - names)
    junk = sorted(name for name in names if any(part in name for part in _JUNK))
    licence = [] if any(name.endswith("LICENSE") and "distilled_weights" not in name for name in names) else ["LICENSE"]
    return [
        *(f"{kind}: {name} is missing." for name in [*missing, *licence]),
        *(f"{kind}: {name} does not belong there." for name in junk),
    ]


def main() -> None:
    """Check the archives of a folder."""
    folder = Path(sys.argv[1])
    (wheel,), (source,) = folder.glob("*.whl"), folder.glob("*.tar.gz")
    with zipfile.ZipFile(wheel) as archive:
        found = faults(set(archive.namelist()), wheel.name, recipe_files("mergeit_ops/"))
    with tarfile.open(source) as archive:
        names = {name.partition("/")[2] for name in archive.getnames()}
    found += faults(names, source.name, recipe_files())
    if found:
        raise SystemExit("\n".join(found))
    print(
        f"{wheel.name}: {wheel.stat().st_size:,} bytes; {source.name}: {source.stat().st_size:,} bytes; both are whole."
    )


if __name__ == "__main__":
    main()
