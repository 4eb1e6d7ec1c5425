"""What a journal holds, for a person who wants to look into it, or to make room."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass
from pathlib import Path

from mergeit_ops.errors import DatasetError
from mergeit_ops.llm.journal import Journal

__all__ = ["StoredAnswer", "StoredOfModel", "by_model", "forget", "latest"]


@dataclass(frozen=True)
class StoredOfModel:
    """The answers of one model.

    :param model: its name; None where it was not taken down.
    :param answers: how many.
    :param prompt_tokens: tokens sent for them, as far as the servers told.
    :param completion_tokens: tokens received, as far as the servers told.
    :param first_at: seconds since the epoch.
    :param last_at: seconds since the epoch.
    """

    model: str | None
    answers: int
    prompt_tokens: int
    completion_tokens: int
    first_at: float
    last_at: float


@dataclass(frozen=True)
class StoredAnswer:
    """One answer.

    :param model: who gave it; None where it was not taken down.
    :param created_at: seconds since the epoch.
    :param text: as the model gave it.
    """

    model: str | None
    created_at: float
    text: str


def by_model(path: Path) -> list[StoredOfModel]:
    """Return what a journal holds, by model.

    :param path: its file, which must exist.
    :raises DatasetError: if it is no journal.
    """
    query = (
        "SELECT model, COUNT(*), COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(completion_tokens), 0), "
        "MIN(created_at), MAX(created_at) FROM answers GROUP BY model ORDER BY COUNT(*) DESC, model"
    )
    with _opened(path) as connection:
        return [StoredOfModel(*row) for row in connection.execute(query)]


def latest(path: Path, count: int) -> list[StoredAnswer]:
    """Return the newest answers, newest first.

    :param path: the journal's file, which must exist.
    :param count: how many at most.
    :raises DatasetError: if it is no journal.
    """
    query = "SELECT model, created_at, answer FROM answers ORDER BY created_at DESC LIMIT ?"
    with _opened(path) as connection:
        return [StoredAnswer(*row) for row in connection.execute(query, (count,))]


def forget(path: Path, older_than_days: float = 0.0) -> int:
    """Take answers out of a journal and give their room back; a run that goes on meanwhile is not disturbed.

    :param path: its file, which must exist.
    :param older_than_days: only answers of at least this age, at least 0.
    :return: how many were taken out.
    :raises DatasetError: if it is no journal, or a run is writing to it all the time.
    """
    with _opened(path) as connection:
        until = time.time() - older_than_days * 86_400
        removed = connection.execute("DELETE FROM answers WHERE created_at <= ?", (until,)).rowcount
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    return int(removed)


@contextmanager
def _opened(path: Path) -> Iterator[sqlite3.Connection]:
    if not _is_sqlite(path):
        # Before the journal opens it: it would set a damaged file aside.
        raise DatasetError(f"{path} is no answer cache of this package.")
    Journal(path).close()  # brings a file of an earlier version up to date
    connection = sqlite3.connect(path, timeout=10.0, isolation_level=None)
    try:
        yield connection
    except sqlite3.Error as error:
        raise DatasetError(f"The answer cache {path} could not be read or changed ({error}).") from error
    finally:
        connection.close()


def _is_sqlite(path: Path) -> bool:
    with path.open("rb") as file:
        return file.read(16) == b"SQLite format 3\x00"
