"""Release the pages of memory-mapped files that have been read."""

from __future__ import annotations

import ctypes
import mmap
import os
from functools import lru_cache
from typing import Any

from datasets import Dataset

_MAPS = "/proc/self/maps"
_READ_ONLY = ("r--s", "r--p")


def release_pages(dataset: Dataset) -> None:
    """Tell the system that the pages of a dataset's files that were read so far are not needed now.

    Pages of a mapped file count as memory of the process until they are released. Only read-only mappings of these
    files are released. Their content is in the file, and a table that still points to a page reads it again. If the
    system has no such call, nothing happens.

    :param dataset: a dataset; a dataset in memory has no files.
    """
    paths = {os.path.realpath(file["filename"]) for file in dataset.cache_files}
    advise = _madvise()
    if not paths or advise is None:
        return
    try:
        with open(_MAPS, encoding="utf-8", errors="surrogateescape") as maps:
            lines = maps.readlines()
    except OSError:
        return
    for line in lines:
        fields = line.rstrip("\n").split(maxsplit=5)
        if len(fields) == 6 and fields[1] in _READ_ONLY and fields[5] in paths:
            start, end = (int(address, 16) for address in fields[0].split("-"))
            advise(start, end - start, mmap.MADV_DONTNEED)


@lru_cache(maxsize=1)
def _madvise() -> Any | None:
    if not os.path.exists(_MAPS) or not hasattr(mmap, "MADV_DONTNEED"):
        return None
    try:
        function = ctypes.CDLL(None, use_errno=True).madvise
    except (OSError, AttributeError):
        return None
    function.argtypes = (ctypes.c_void_p, ctypes.c_size_t, ctypes.c_int)
    function.restype = ctypes.c_int
    return function
