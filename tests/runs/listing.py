"""The order in which a folder lists its files."""

from __future__ import annotations

from pathlib import Path

import pytest


def listed(monkeypatch: pytest.MonkeyPatch, names: list[str]) -> None:
    """Have folders list files in an order, which no file system lets one choose."""
    found = Path.rglob
    monkeypatch.setattr(
        Path, "rglob", lambda self, pattern: sorted(found(self, pattern), key=lambda at: place(at.name))
    )

    def place(name: str) -> int:
        return names.index(name) if name in names else len(names)
