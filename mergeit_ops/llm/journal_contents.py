"""The contents of a journal, for people who want to look into it or to make room."""

from __future__ import annotations

import sqlite3
import time
from collections.abc import Iterator
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from mergeit_ops.errors import DatasetError
from mergeit_ops.llm.journal import COLUMNS, SCHEMA_VERSION, is_lock, open_read_only

__all__ = ["StoredAnswer", "StoredOfModel", "by_model", "forget", "latest"]

# A run gives up on a file that is locked for 2 s; a person can wait longer.
_BUSY_TIMEOUT_S = 10.0
_COURTESY_TIMEOUT_MS = 200
_ROWS_AT_ONCE = 500
_LARGEST_INTEGER = 2**63 - 1


@dataclass(frozen=True)
class StoredOfModel:
    """The answers of one model.

    :param model: its name; None if it was not recorded.
    :param answers: how many.
    :param prompt_tokens: tokens sent for them, if the servers reported them.
    :param completion_tokens: tokens received, if the servers reported them.
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

    :param model: its model; None if it was not recorded.
    :param created_at: seconds since the epoch.
    :param text: the model's answer.
    """

    model: str | None
    created_at: float
    text: str


def by_model(path: Path) -> list[StoredOfModel]:
    """Return the contents of a journal by model, without changing it.

    :param path: file of the journal, which must exist.
    :raises DatasetError: if it is not a journal, or cannot be read.
    """
    with _opened(path) as (connection, model):
        query = (
            f"SELECT {model} AS named, COUNT(*), COALESCE(SUM(prompt_tokens), 0), COALESCE(SUM(completion_tokens), 0), "
            "MIN(created_at), MAX(created_at) FROM answers GROUP BY named ORDER BY COUNT(*) DESC, named"
        )
        return [StoredOfModel(*row) for row in connection.execute(query)]


def latest(path: Path, count: int) -> list[StoredAnswer]:
    """Return the newest answers, newest first, without changing the journal.

    :param path: the journal's file, which must exist.
    :param count: most answers to return, at least 0.
    :raises DatasetError: if it is not a journal, or cannot be read.
    """
    with _opened(path) as (connection, model):
        query = f"SELECT {model}, created_at, answer FROM answers ORDER BY created_at DESC LIMIT ?"
        return [StoredAnswer(*row) for row in connection.execute(query, (min(count, _LARGEST_INTEGER),))]


def forget(path: Path, older_than_days: float = 0.0) -> int:
    """Remove answers from a journal, a few at a time, so that a running run can store its answers.

    Their space is returned to the disk if no other process uses the file; otherwise later answers fill it.

    :param path: file of the journal, which must exist.
    :param older_than_days: smallest age of the answers to remove, at least 0.
    :return: number of removed answers.
    :raises DatasetError: if it is not a journal, cannot be changed, or a run keeps writing to it.
    """
    until = time.time() - older_than_days * 86_400
    with _opened(path, to_write=True) as (connection, _):
        removed = _remove_until(connection, until)
        _give_room_back(connection)
    return removed


def _remove_until(connection: sqlite3.Connection, until: float) -> int:
    last_of = "SELECT MAX(key) FROM (SELECT key FROM answers WHERE key > ? AND created_at <= ? ORDER BY key LIMIT ?)"
    removed = 0
    after = ""
    while True:
        # Searched outside the transaction that removes, because a reader of this file blocks nobody.
        (last,) = connection.execute(last_of, (after, until, _ROWS_AT_ONCE)).fetchone()
        if last is None:
            return removed
        began = time.monotonic()
        removed += connection.execute(
            "DELETE FROM answers WHERE key > ? AND key <= ? AND created_at <= ?", (after, last, until)
        ).rowcount
        after = last
        # The lock is released for as long as it was held, because waiting processes check it only now and then.
        time.sleep(time.monotonic() - began)


def _give_room_back(connection: sqlite3.Connection) -> None:
    connection.execute(f"PRAGMA busy_timeout={_COURTESY_TIMEOUT_MS}")
    try:
        connection.execute("VACUUM")
        connection.execute("PRAGMA wal_checkpoint(TRUNCATE)")
    except sqlite3.OperationalError as error:
        if not is_lock(error):
            raise


@contextmanager
def _opened(path: Path, *, to_write: bool = False) -> Iterator[tuple[sqlite3.Connection, str]]:
    """Open a journal, and return the expression that selects the model. A file that is not a journal is never
    changed."""
    try:
        with closing(open_read_only(path, _BUSY_TIMEOUT_S)) as looking:
            model = _model_column(looking, path)
            if not to_write:
                yield looking, model
                return
        uri = f"{path.absolute().as_uri()}?mode=rw"
        with closing(sqlite3.connect(uri, uri=True, timeout=_BUSY_TIMEOUT_S, isolation_level=None)) as connection:
            yield connection, model
    except (sqlite3.Error, OSError) as error:
        raise DatasetError(f"The answer cache {path} could not be read or changed ({error}).") from error


def _model_column(connection: sqlite3.Connection, path: Path) -> str:
    try:
        columns = {row[1] for row in connection.execute("PRAGMA table_info(answers)")}
    except sqlite3.DatabaseError as error:
        if "not a database" in str(error):
            raise _no_journal(path) from error
        raise
    tables = connection.execute("SELECT 1 FROM sqlite_master WHERE type = 'table' AND name = 'answers'").fetchall()
    if not tables or not columns.issuperset(COLUMNS):
        raise _no_journal(path)
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    if version > SCHEMA_VERSION:
        raise DatasetError(
            f"{path} was written by a newer version of mergeit-ops (format {version}, this one reads {SCHEMA_VERSION})."
        )
    return "model" if "model" in columns else "NULL"


def _no_journal(path: Path) -> DatasetError:
    return DatasetError(f"{path} is no answer cache of this package.")
