"""Files with the cosines of an embedding model that are as strict as those of the default model."""

from __future__ import annotations

import hashlib
import json
import os
import uuid
from contextlib import suppress
from dataclasses import asdict
from importlib import resources
from pathlib import Path

from mergeit_ops.core.merging.equal_strictness import EqualStrictness
from mergeit_ops.embedding.packaged import known_names

__all__ = ["scale_in", "shipped_scale", "store_scale"]

_DIGITS = 8


def shipped_scale(model: str) -> EqualStrictness | None:
    """Return the scale of a model that is shipped with the package; None if there is none.

    :param model: name of the model on the Hugging Face Hub, or of a packaged model.
    """
    folder = resources.files("mergeit_ops.embedding") / "scales"
    shipped = [folder / _file_name(name) for name in known_names(model)]
    return next((_read(file.read_text(encoding="utf-8")) for file in shipped if file.is_file()), None)


def scale_in(folder: Path, model: str) -> EqualStrictness | None:
    """Return the scale of a model that an earlier run has stored; None if there is no readable one.

    :param folder: folder where it was stored.
    :param model: key of the scale in the folder.
    """
    try:
        return _read((folder / _file_name(model)).read_text(encoding="utf-8"))
    except (OSError, ValueError, KeyError, TypeError):
        return None


def store_scale(folder: Path, model: str, scale: EqualStrictness) -> None:
    """Store the scale of a model for later runs.

    :param folder: folder, which is created if needed.
    :param model: key of the scale in the folder.
    :param scale: the scale.
    :raises OSError: if it cannot be written.
    """
    path = folder / _file_name(model)
    rounded = {name: [round(value, _DIGITS) for value in values] for name, values in asdict(scale).items()}
    temporary = path.with_name(f".{path.name}.{uuid.uuid4().hex}.tmp")
    try:
        folder.mkdir(parents=True, exist_ok=True)
        temporary.write_text(json.dumps({"model": model, **rounded}, indent=0) + "\n", encoding="utf-8")
        os.replace(temporary, path)
    finally:
        with suppress(OSError):
            temporary.unlink()


def _read(text: str) -> EqualStrictness:
    stored = json.loads(text)
    return EqualStrictness(*(tuple(map(float, stored[name])) for name in EqualStrictness.__dataclass_fields__))


def _file_name(model: str) -> str:
    plain = "".join(char if char.isalnum() or char in "-." else "_" for char in model)[-60:].lstrip(".")
    return f"{plain}-{hashlib.sha256(model.encode()).hexdigest()[:8]}.json"
