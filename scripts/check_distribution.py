"""Check that a wheel and a source archive contain the whole package, weights and licences, and nothing else."""

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
    """Return the paths of the package's files in the repository."""
    files = (path for path in (REPOSITORY / "mergeit_ops").rglob("*") if path.is_file())
    return {path.relative_to(REPOSITORY).as_posix() for path in files if "__pycache__" not in path.parts}


def recipe_files(folder: str = "") -> set[str]:
    """Return the paths of the recipes and their data in an archive.

    :param folder: folder of the archive that contains `recipes`, with a slash at the end.
    """
    files = (path for path in (REPOSITORY / "recipes").rglob("*") if path.is_file())
    return {folder + path.relative_to(REPOSITORY).as_posix() for path in files}


def faults(names: set[str], kind: str, recipes: set[str]) -> list[str]:
    """Return the faults of an archive, one sentence for each.

    :param names: paths in the archive, without the top folder of a source archive.
    :param kind: kind of the archive, for the sentences.
    :param recipes: paths that the recipes should have in the archive.
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
