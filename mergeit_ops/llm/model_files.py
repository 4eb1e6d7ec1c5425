"""Distinguish a model in a folder from one that is trained into the same folder later."""

from __future__ import annotations

import hashlib
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

__all__ = ["answering_params", "files_digest", "model_identity"]

# They set where and how a model runs, and do not change answers.
_PLACES = ("device_map", "max_memory", "offload_folder", "cache_dir", "local_files_only", "attn_implementation")

_SUFFIXES = {".safetensors", ".bin", ".json", ".jinja", ".model", ".txt"}
_PARTS = 64
_PART_BYTES = 4096


def model_identity(name: str, model_params: Mapping[str, Any]) -> dict[str, Any]:
    """Return what distinguishes a local model from others: its name, how it is loaded, and the files in its folder.

    :param name: name of a model on the Hugging Face Hub, or a folder.
    :param model_params: arguments of `from_pretrained`.
    """
    folder = str(Path(name, str(model_params.get("subfolder") or "")))
    return {"model": name, "model_params": dict(model_params), "files": files_digest(folder)}


def answering_params(model_params: Mapping[str, Any]) -> dict[str, Any]:
    """Return the arguments of `from_pretrained` that affect a model's answers.

    :param model_params: all arguments.
    """
    return {name: value for name, value in model_params.items() if name not in _PLACES}


def files_digest(name: str) -> str | None:
    """Return a digest of the files of a model; None if the name is not a folder.

    Weights are read at places spread over each file. Training changes them nearly everywhere, and reading all of 15 GB
    would take as long as loading them.

    :param name: name of a model on the Hugging Face Hub, or a folder.
    """
    try:
        files = sorted(path for path in Path(name).iterdir() if path.suffix in _SUFFIXES and path.is_file())
        stats = [(path, path.stat()) for path in files]
    except OSError:
        return None
    return _digest(tuple((str(path), stat.st_size, stat.st_mtime_ns) for path, stat in stats))


@lru_cache(maxsize=8)
def _digest(files: tuple[tuple[str, int, int], ...]) -> str:
    digest = hashlib.sha256()
    for name, size, _ in files:
        digest.update(f"{Path(name).name} {size}\n".encode())
        with open(name, "rb") as file:
            for part in range(_PARTS):
                file.seek(max(0, size - _PART_BYTES) * part // (_PARTS - 1))
                digest.update(file.read(_PART_BYTES))
    return digest.hexdigest()
