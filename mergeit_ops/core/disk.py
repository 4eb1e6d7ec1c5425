"""Messages about folders that cannot be written."""

from __future__ import annotations

import errno

__all__ = ["is_full", "unwritable"]

_FULL = (errno.ENOSPC, errno.EDQUOT, errno.EFBIG)
_FULL_TEXTS = ("no space left on device", "disk quota exceeded", "file too large", "disk is full")


def is_full(error: BaseException) -> bool:
    """Return whether an error means that a disk or a quota is full, or a file is too large.

    :param error: the error. Libraries wrap the system's error in their own, and some keep only its text.
    """
    return getattr(error, "errno", None) in _FULL or any(text in str(error).lower() for text in _FULL_TEXTS)


def unwritable(error: BaseException, folder: object, otherwise: str) -> str:
    """Return a sentence about a folder that cannot be written.

    :param error: the error that writing raised.
    :param folder: the folder.
    :param otherwise: another remedy, as a clause without a full stop.
    """
    if is_full(error):
        return f"the disk that holds {folder} is full. Make room there, or {otherwise}."
    return f"{folder} cannot be written ({' '.join(str(error).split())}). Make it writable, or {otherwise}."
