"""A journal in the format of this package's first version."""

from __future__ import annotations

import sqlite3
from pathlib import Path


def write_first_format(file: Path) -> Path:
    """Write a journal of format 1 with one answer, `x` under `old`, and return its path."""
    connection = sqlite3.connect(file)
    connection.execute(
        "CREATE TABLE answers (key TEXT PRIMARY KEY, answer TEXT NOT NULL, prompt_tokens INTEGER, "
        "completion_tokens INTEGER, created_at REAL NOT NULL) WITHOUT ROWID"
    )
    connection.execute("INSERT INTO answers VALUES ('old', 'x', 1, 2, 3.0)")
    connection.execute("PRAGMA user_version=1")
    connection.commit()
    connection.close()
    return file
