"""The answer cache: every good answer is on disk before the run continues, so that nothing is paid for twice."""

from __future__ import annotations

import hashlib
import json
import os
import sqlite3
import threading
import time
from collections.abc import Mapping, Sequence
from contextlib import closing, suppress
from pathlib import Path
from typing import Any

from loguru import logger

from mergeit_ops.core.disk import is_full
from mergeit_ops.errors import RecipeError
from mergeit_ops.folders import CACHE_DIR_VARIABLE, cache_folder

__all__ = [
    "ANSWERS_FILE",
    "CACHE_DIR_VARIABLE",
    "COLUMNS",
    "LOSSES_FILE",
    "SCHEMA_VERSION",
    "Journal",
    "answer_key",
    "default_cache_path",
    "is_lock",
    "journal_file",
    "open_read_only",
]

SCHEMA_VERSION = 2
"""The format that this version writes; format 1 had no column `model`."""

COLUMNS = ("key", "answer", "prompt_tokens", "completion_tokens", "created_at")
"""The columns of table `answers` in every format."""

ANSWERS_FILE = "answers.sqlite3"
"""Name of the journal of answers of language models in the cache folder."""

LOSSES_FILE = "losses.sqlite3"
"""Name of the journal of local models' losses, which cost time but no money."""

# Writes take milliseconds. A process that locks the file for longer would delay every answer of the run.
_BUSY_TIMEOUT_S = 2.0
# Seconds before a locked file is tried again; at worst a run waits for 2 of every 32 seconds.
_LOCKOUT_S = 30.0
_CREATE = """
CREATE TABLE IF NOT EXISTS answers (
    key TEXT PRIMARY KEY,
    answer TEXT NOT NULL,
    prompt_tokens INTEGER,
    completion_tokens INTEGER,
    created_at REAL NOT NULL,
    model TEXT
) WITHOUT ROWID
"""
_INSERT = "INSERT OR REPLACE INTO answers VALUES (?, ?, ?, ?, ?, ?)"
_KEYS_AT_ONCE = 500  # in a query; old builds of SQLite accept 999
_FROM_VERSION_1 = "ALTER TABLE answers ADD COLUMN model TEXT"


def default_cache_path(file_name: str = ANSWERS_FILE) -> Path:
    """Return the default path of a journal: in the user's cache folder, or in $MERGEIT_CACHE_DIR.

    :param file_name: of the journal.
    """
    return cache_folder() / file_name


def answer_key(
    identity: Mapping[str, Any],
    messages: Sequence[Mapping[str, str]],
    sampling_params: Mapping[str, Any],
    candidate: int = 0,
) -> str:
    """Return the key of an answer: a SHA-256 of exactly what affects the answer.

    :param identity: what identifies the model: base URL, endpoint, model name and similar, but never an API key.
    :param messages: the conversation.
    :param sampling_params: how the answer is drawn.
    :param candidate: number of the answer to the same conversation, from 0.
    :return: 64 hex digits.
    """
    whole = {
        "identity": identity,
        "messages": [dict(turn) for turn in messages],
        "sampling_params": sampling_params,
        "candidate": candidate,
    }
    canonical = json.dumps(whole, sort_keys=True, separators=(",", ":"), default=str)
    return hashlib.sha256(canonical.encode("ascii")).hexdigest()


class Journal:
    """Answers in one SQLite file, shared by any number of processes.

    A journal never stops or delays a run. A file that cannot be read is set aside, an answer that cannot be written is
    counted in `write_failures`, and each problem is reported once. If another process locks the file, or it cannot be
    opened, it is tried again after half a minute.

    :param path: the file, or an existing folder for it; None (or "") turns the journal off.
    :param create: whether to create a missing file; False is for reading only.
    :raises RecipeError: if the file was written by a newer version of this package, or is a database of another
        program.
    """

    def __init__(self, path: str | os.PathLike[str] | None, *, create: bool = True) -> None:
        self.path = journal_file(path)
        self.write_failures = 0
        self._lock = threading.Lock()
        self._connection: sqlite3.Connection | None = None
        self._warned = False
        # Times of the monotonic clock. If writing is not allowed, reading still may be.
        self._read_again_at = 0.0
        self._write_again_at = 0.0
        self._open_again_at: float | None = None
        if self.path is not None and (create or os.path.exists(self.path)):
            self._open(self.path)

    def get(self, key: str) -> str | None:
        """Return a stored answer.

        :param key: from `answer_key`.
        :return: the text; None if there is none.
        """
        return self.get_many([key]).get(key)

    def get_with_model(self, key: str) -> tuple[str, str | None] | None:
        """Return a stored answer, and who gave it.

        :param key: from `answer_key`.
        :return: the text, and the model, or None where it was not taken down; None when there is no answer.
        """
        return self._found([key]).get(key)

    async def claim(self, key: str) -> tuple[str, str | None] | None:
        """Return a stored answer, and who gave it; other processes that use the file may ask the same.

        :param key: from `answer_key`.
        """
        return self.get_with_model(key)

    def release(self, key: str) -> None:
        """Do nothing: nobody waits.

        :param key: of a question without an answer.
        """

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the stored answers among the given keys.

        :param keys: each from `answer_key`.
        """
        return {key: text for key, (text, _) in self._found(keys).items()}

    def _found(self, keys: Sequence[str]) -> dict[str, tuple[str, str | None]]:
        found: dict[str, tuple[str, str | None]] = {}
        with self._lock:
            self._open_late()
            if self._connection is None or time.monotonic() < self._read_again_at:
                return found
            try:
                for first in range(0, len(keys), _KEYS_AT_ONCE):
                    part = keys[first : first + _KEYS_AT_ONCE]
                    places = ",".join("?" * len(part))
                    query = f"SELECT key, answer, model FROM answers WHERE key IN ({places})"
                    rows = self._connection.execute(query, part)
                    found |= {key: (str(answer), model) for key, answer, model in rows}
            except sqlite3.OperationalError as error:
                if is_lock(error):
                    self._read_again_at = self._write_again_at = time.monotonic() + _LOCKOUT_S
                self._warn_once(error)
            except sqlite3.DatabaseError as error:
                self._set_aside(error)
        return found

    def put(
        self, key: str, text: str, usage: tuple[int | None, int | None] = (None, None), *, model: str | None = None
    ) -> None:
        """Store an answer. When this returns, it is on disk or counted as a failed write.

        :param key: from `answer_key`.
        :param text: the model's answer.
        :param usage: prompt and completion tokens, if the server reports them.
        :param model: the model, for people who look into the journal.
        """
        self._write([(key, text, *usage, time.time(), model)])

    def put_many(self, answers: Mapping[str, str], *, model: str | None = None) -> None:
        """Store answers in one transaction. All or none are on disk when this returns.

        :param answers: maps keys to texts.
        :param model: model of the answers.
        """
        now = time.time()
        self._write([(key, text, None, None, now, model) for key, text in answers.items()])

    def _write(self, rows: Sequence[tuple[Any, ...]]) -> None:
        if self.path is None:
            return
        with self._lock:
            self._open_late()
            if self._connection is None or time.monotonic() < self._write_again_at:
                self.write_failures += len(rows)
                return
            try:
                if len(rows) == 1:
                    self._connection.execute(_INSERT, rows[0])
                else:
                    self._write_together(self._connection, rows)
            except (UnicodeEncodeError, OverflowError):
                self.write_failures += len(rows)
            except sqlite3.Error as error:
                self.write_failures += len(rows)
                if isinstance(error, sqlite3.OperationalError):
                    if is_lock(error):
                        self._write_again_at = time.monotonic() + _LOCKOUT_S
                    self._warn_once(error)
                else:
                    self._set_aside(error)

    @staticmethod
    def _write_together(connection: sqlite3.Connection, rows: Sequence[tuple[Any, ...]]) -> None:
        connection.execute("BEGIN IMMEDIATE")
        try:
            connection.executemany(_INSERT, rows)
        except BaseException:
            with suppress(sqlite3.Error):  # on a full disk, SQLite may have rolled back already
                connection.execute("ROLLBACK")
            raise
        connection.execute("COMMIT")

    def close(self) -> None:
        """Close the file."""
        with self._lock:
            self._open_again_at = None
            if self._connection is not None:
                self._connection.close()
                self._connection = None

    def __enter__(self) -> Journal:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _open(self, path: Path) -> None:
        try:
            path.parent.mkdir(parents=True, exist_ok=True)
            self._connection = _connect(path)
        except (sqlite3.OperationalError, OSError) as error:
            self._give_up(error)
            # Locks end, and a full or missing disk may become available again.
            self._open_again_at = time.monotonic() + _LOCKOUT_S
        except sqlite3.DatabaseError as error:
            self._set_aside(error)

    def _open_late(self) -> None:
        """Try again to open the file after the wait."""
        if self._open_again_at is None or time.monotonic() < self._open_again_at:
            return
        assert self.path is not None
        self._open_again_at = None
        try:
            self._open(self.path)
        except RecipeError as error:  # at the start of a run this stops it, because nothing is paid for yet
            self._give_up(error)

    def _set_aside(self, error: Exception) -> None:
        assert self.path is not None
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        aside = self.path.with_name(f"{self.path.name}.corrupt-{time.time_ns()}")
        try:
            for suffix in ("", "-wal", "-shm"):
                part = Path(f"{self.path}{suffix}")
                if part.exists():
                    part.rename(f"{aside}{suffix}")
            logger.warning(f"The answer cache {self.path} cannot be read ({error}): set aside as {aside.name}.")
            self._connection = _connect(self.path)
        except (OSError, sqlite3.Error) as second:
            self._give_up(second)

    def _give_up(self, error: Exception) -> None:
        if self._connection is not None:
            self._connection.close()
            self._connection = None
        self._warn_once(error)

    def _warn_once(self, error: Exception) -> None:
        if not self._warned:
            self._warned = True
            cure = ""
            if is_full(error) and self.path is not None:
                cure = (
                    f" The disk that holds {self.path.parent} is full: make room there, or set cache_path to another."
                )
            logger.warning(
                f"The answer cache {self.path} cannot be used ({error}): what is not stored is computed or paid for "
                f"again when the recipe is run again.{cure}"
            )


def journal_file(path: str | os.PathLike[str] | None, file_name: str = ANSWERS_FILE) -> Path | None:
    """Return the file of a journal.

    :param path: the file, or an existing folder for it; None or "" for no journal.
    :param file_name: name of the file in a folder.
    """
    if path is None or str(path) == "":
        return None
    # Path's own methods raise if a folder may not be read, or a user or a name cannot exist.
    file = Path(os.path.expanduser(path))
    return file / file_name if os.path.isdir(file) else file


def open_read_only(path: Path, timeout_s: float) -> sqlite3.Connection:
    """Open a database for reading. Nothing is written to it or created beside it.

    :param path: the file, which must exist.
    :param timeout_s: how long to wait for a lock, in seconds.
    """
    # The mode is in the header of the file, but opening and closing the file here would drop the locks that SQLite
    # holds on it for this process. In WAL mode a reader creates files beside the database, unless it is told that
    # nobody writes; without a log, nobody does.
    uri = f"{path.absolute().as_uri()}?mode=ro"
    if not any(os.path.exists(f"{path}-{log}") for log in ("wal", "journal")):
        uri += "&immutable=1"
    return sqlite3.connect(uri, uri=True, timeout=timeout_s, isolation_level=None)


def is_lock(error: sqlite3.OperationalError) -> bool:
    """Return whether an error says that another process holds the file."""
    # Error codes exist only since Python 3.11.
    return "locked" in str(error) or "busy" in str(error)


def _connect(path: Path) -> sqlite3.Connection:
    # Even opening and closing a file for writing may change it. A problem here occurs again below.
    with suppress(sqlite3.Error, OSError), closing(open_read_only(path, timeout_s=0.0)) as looking:
        _refuse_what_is_not_ours(looking, path)
    # Used by one thread at a time, under the lock. With autocommit, every answer is a separate transaction.
    connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
    try:
        version = _refuse_what_is_not_ours(connection, path)
        connection.execute("PRAGMA journal_mode=WAL")
        # Without a sync per answer. This survives the end of the process, but not always a power cut.
        connection.execute("PRAGMA synchronous=NORMAL")
        if version < SCHEMA_VERSION:
            _bring_up_to_date(connection)
        _try_to_read(connection)
    except BaseException:
        connection.close()
        raise
    return connection


def _refuse_what_is_not_ours(connection: sqlite3.Connection, path: Path) -> int:
    """Return the format of the file, 0 for an empty one, without writing."""
    names = {str(row[0]).lower() for row in connection.execute("SELECT name FROM sqlite_master")}
    if names and "answers" not in names:
        raise RecipeError(f"cache_path: {path} is a database of another program; name another file.")
    version = int(connection.execute("PRAGMA user_version").fetchone()[0])
    if version > SCHEMA_VERSION:
        raise RecipeError(
            f"cache_path: {path} was written by a newer version of mergeit-ops (format {version}, "
            f"this one reads {SCHEMA_VERSION}); name another file."
        )
    if names:
        _try_to_read(connection)
    return version


def _try_to_read(connection: sqlite3.Connection) -> None:
    connection.execute(f"SELECT {', '.join(COLUMNS)} FROM answers LIMIT 1").fetchone()


def _bring_up_to_date(connection: sqlite3.Connection) -> None:
    # One process at a time: the version is read again under the lock.
    connection.execute("BEGIN IMMEDIATE")
    version = connection.execute("PRAGMA user_version").fetchone()[0]
    connection.execute(_CREATE)
    if version == 1:
        connection.execute(_FROM_VERSION_1)
    connection.execute(f"PRAGMA user_version={SCHEMA_VERSION}")
    connection.execute("COMMIT")
