"""A mapping of tags to their names, in a JSON file that later runs use again."""

from __future__ import annotations

import json
import os
import uuid
from collections.abc import Mapping
from contextlib import suppress
from pathlib import Path

from mergeit_ops.core.disk import unwritable
from mergeit_ops.errors import DiskError, RecipeError

__all__ = ["read_tag_mapping", "write_tag_mapping"]


def read_tag_mapping(path: Path) -> dict[str, str] | None:
    """Return the mapping in a file; None if there is no file.

    :param path: the file.
    :raises RecipeError: if the file does not hold such a mapping.
    """
    try:
        found = json.loads(path.read_text(encoding="utf-8"))
    except FileNotFoundError:
        return None
    except (OSError, ValueError) as error:
        raise RecipeError(f"mapping_path '{path}' cannot be read as JSON: {error}") from error
    if not isinstance(found, dict) or not all(isinstance(name, str) for name in found.values()):
        raise RecipeError(
            f"mapping_path '{path}' must hold a JSON object that maps tags to tags; name another file, or remove it, "
            "and a new mapping is written"
        )
    return found


def write_tag_mapping(path: Path, mapping: Mapping[str, str]) -> None:
    """Write a mapping atomically.

    :param path: the file; its folder is created if needed.
    :param mapping: tags to their names.
    :raises DiskError: if it cannot be written.
    """
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        path.parent.mkdir(parents=True, exist_ok=True)
        text = json.dumps(dict(sorted(mapping.items())), ensure_ascii=False, indent=0)
        temporary.write_text(text + "\n", encoding="utf-8")
        os.replace(temporary, path)
    except OSError as error:
        with suppress(OSError):
            temporary.unlink()
        raise DiskError(
            "the mapping of tags is written to mapping_path, but "
            + unwritable(error, str(path.parent), "set mapping_path to a file in another folder")
        ) from error
