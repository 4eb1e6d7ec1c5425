"""Which requests are under way in which batch, on disk before and after each step, as a run may be killed."""

from __future__ import annotations

import json
import sqlite3
import time
from collections.abc import Iterable, Iterator, Mapping
from contextlib import closing, contextmanager
from dataclasses import dataclass
from pathlib import Path

from filelock import FileLock

from mergeit_ops.core.disk import unwritable
from mergeit_ops.errors import DiskError
from mergeit_ops.llm.batches.lines import BatchResult
from mergeit_ops.llm.journal import open_read_only

__all__ = [
    "BY_HAND",
    "FAILED",
    "IN_VAIN",
    "SETTLED",
    "SUBMITTED",
    "UNCERTAIN",
    "WRITTEN",
    "Ledger",
    "SubmittedBatch",
    "batches_under_way",
]

WRITTEN = "written"
"""Its requests are on record; the server may have its file, but no batch."""
UNCERTAIN = "uncertain"
"""The server has its file, and may have made a batch of it."""
SUBMITTED = "submitted"
"""Its id is known."""
BY_HAND = "by_hand"
"""Its file is in a folder of the user."""

SETTLED = "settled"
"""Outcome of a request whose answer is in the journal, or that was given back unpaid."""
IN_VAIN = "in_vain"
"""Outcome, with a reason behind it, of a request whose answer could not be used."""
FAILED = "failed"
"""Outcome, with a reason behind it, of a request that was given up."""

_BUSY_TIMEOUT_S = 30.0
_CREATE = """
CREATE TABLE IF NOT EXISTS batches (
    number INTEGER PRIMARY KEY AUTOINCREMENT,
    tag TEXT NOT NULL,
    state TEXT NOT NULL,
    model TEXT,
    file TEXT,
    batch_id TEXT,
    created_at REAL NOT NULL
);
CREATE TABLE IF NOT EXISTS batch_lines (
    batch INTEGER NOT NULL,
    key TEXT NOT NULL,
    outcome TEXT,
    result TEXT,
    PRIMARY KEY (batch, key)
) WITHOUT ROWID;
CREATE INDEX IF NOT EXISTS batch_lines_by_key ON batch_lines (key);
"""


@dataclass(frozen=True)
class SubmittedBatch:
    """A batch on record.

    :param number: of the record.
    :param tag: digest of its file, which the server is told too.
    :param state: one of the constants of this module.
    :param file: id at the server, or path on this machine; None if not known yet.
    :param batch_id: at the server; None if not known yet.
    :param created_at: seconds since the epoch.
    :param keys: of its requests without an outcome.
    """

    number: int
    tag: str
    state: str
    file: str | None
    batch_id: str | None
    created_at: float
    keys: tuple[str, ...]


def batches_under_way(path: Path) -> int:
    """Return how many batches are under way; nothing is written.

    :param path: of the journal.
    """
    query = "SELECT COUNT(DISTINCT batch) FROM batch_lines WHERE outcome IS NULL"
    try:
        with closing(open_read_only(path, timeout_s=0.0)) as connection:
            return int(connection.execute(query).fetchone()[0])
    except sqlite3.Error:
        # There is no such table, or no journal yet.
        return 0


class Ledger:
    """The batches of all runs that share a journal, in the file of the journal.

    :param path: of the journal.
    :raises DiskError: if it cannot be opened. What is not on record must not be submitted.
    """

    def __init__(self, path: Path) -> None:
        self._path = path
        with self._written():
            path.parent.mkdir(parents=True, exist_ok=True)
            # A run awaits the server while it holds the ledger, so that another thread may be the one to close it.
            connection = sqlite3.connect(path, timeout=_BUSY_TIMEOUT_S, isolation_level=None, check_same_thread=False)
            # A batch must not be forgotten by a power cut: it is paid for.
            connection.execute("PRAGMA synchronous=FULL")
            connection.executescript(_CREATE)
        self._connection = connection
        self.lock = FileLock(f"{path}.batches.lock")
        """Held while batches are submitted. The system frees it when a process dies."""

    def close(self) -> None:
        """Let go of the file."""
        self._connection.close()

    def open_batches(self) -> list[SubmittedBatch]:
        """Return the batches that have requests without an outcome, oldest first."""
        rows = self._connection.execute(
            "SELECT number, tag, state, file, batch_id, created_at FROM batches WHERE number IN "
            "(SELECT batch FROM batch_lines WHERE outcome IS NULL) ORDER BY number"
        )
        return [
            SubmittedBatch(number, tag, state, file, batch_id, created_at, self._keys(number))
            for number, tag, state, file, batch_id, created_at in rows.fetchall()
        ]

    def under_way(self, keys: Iterable[str]) -> list[SubmittedBatch]:
        """Return the batches that hold some of these requests without an outcome, oldest first.

        :param keys: of the requests.
        """
        wanted = set(keys)
        return [batch for batch in self.open_batches() if not wanted.isdisjoint(batch.keys)]

    def past(self, key: str) -> list[str]:
        """Return the outcomes that a request had in earlier batches of the same work, oldest first.

        :param key: of the request.
        """
        query = "SELECT outcome FROM batch_lines WHERE key = ? AND outcome IS NOT NULL ORDER BY batch"
        return [outcome for (outcome,) in self._connection.execute(query, (key,))]

    def add(self, tag: str, keys: Iterable[str], model: str) -> int:
        """Put a batch on record before anything is sent; return its number.

        :param tag: digest of its file.
        :param keys: of its requests.
        :param model: that is asked.
        """
        with self._transaction() as connection:
            number = connection.execute(
                "INSERT INTO batches (tag, state, model, created_at) VALUES (?, ?, ?, ?)",
                (tag, WRITTEN, model, time.time()),
            ).lastrowid
            assert number is not None
            connection.executemany(
                "INSERT INTO batch_lines (batch, key) VALUES (?, ?)", ((number, key) for key in keys)
            )
        return number

    def note(self, number: int, state: str, *, file: str | None = None, batch_id: str | None = None) -> None:
        """Note a step.

        :param number: of the batch.
        :param state: what is known from now on.
        :param file: id or path of its file; None: as it was.
        :param batch_id: None: as it was.
        """
        with self._transaction() as connection:
            connection.execute(
                "UPDATE batches SET state = ?, file = COALESCE(?, file), batch_id = COALESCE(?, batch_id), "
                "created_at = ? WHERE number = ?",
                (state, file, batch_id, time.time(), number),
            )

    def settle(self, number: int, outcomes: Mapping[str, str]) -> None:
        """Note what became of requests of a batch.

        :param number: of the batch.
        :param outcomes: key to outcome: a constant of this module, with a reason where one belongs to it.
        """
        with self._transaction() as connection:
            connection.executemany(
                "UPDATE batch_lines SET outcome = ?, result = NULL WHERE batch = ? AND key = ?",
                ((outcome, number, key) for key, outcome in outcomes.items()),
            )

    def drop(self, number: int) -> None:
        """Forget a batch that does not exist.

        :param number: of the batch.
        """
        with self._transaction() as connection:
            connection.execute("DELETE FROM batch_lines WHERE batch = ?", (number,))
            connection.execute("DELETE FROM batches WHERE number = ?", (number,))

    def finish(self, keys: Iterable[str]) -> None:
        """Forget the outcomes of requests when the work is done: the next run asks anew what had none.

        :param keys: of the requests.
        """
        with self._transaction() as connection:
            connection.executemany(
                "DELETE FROM batch_lines WHERE key = ? AND outcome IS NOT NULL", ((key,) for key in keys)
            )
            connection.execute("DELETE FROM batches WHERE number NOT IN (SELECT batch FROM batch_lines)")

    def store_results(self, results: Mapping[str, BatchResult]) -> dict[str, tuple[int, int]]:
        """Take the responses to files that somebody has run by hand.

        :param results: key to result.
        :return: path of each file that they belong to, to its requests and to those of them without a response.
        """
        touched: dict[str, tuple[int, int]] = {}
        with self._transaction() as connection:
            for batch in self.open_batches():
                found = [key for key in batch.keys if key in results]
                if batch.state != BY_HAND or not found:
                    continue
                connection.executemany(
                    "UPDATE batch_lines SET result = ? WHERE batch = ? AND key = ?",
                    ((json.dumps([results[key].status, results[key].body]), batch.number, key) for key in found),
                )
                missing = connection.execute(
                    "SELECT COUNT(*) FROM batch_lines WHERE batch = ? AND outcome IS NULL AND result IS NULL",
                    (batch.number,),
                ).fetchone()[0]
                touched[str(batch.file)] = (len(batch.keys), missing)
        return touched

    def results(self, number: int) -> dict[str, BatchResult]:
        """Return what `store_results` took for a batch.

        :param number: of the batch.
        """
        rows = self._connection.execute(
            "SELECT key, result FROM batch_lines WHERE batch = ? AND result IS NOT NULL", (number,)
        )
        return {key: BatchResult(*json.loads(text)) for key, text in rows}

    def _keys(self, number: int) -> tuple[str, ...]:
        rows = self._connection.execute("SELECT key FROM batch_lines WHERE batch = ? AND outcome IS NULL", (number,))
        return tuple(key for (key,) in rows)

    @contextmanager
    def _transaction(self) -> Iterator[sqlite3.Connection]:
        with self._written():
            self._connection.execute("BEGIN IMMEDIATE")
            try:
                yield self._connection
            except BaseException:
                self._connection.execute("ROLLBACK")
                raise
            self._connection.execute("COMMIT")

    @contextmanager
    def _written(self) -> Iterator[None]:
        try:
            yield
        except (sqlite3.Error, OSError) as error:
            words = unwritable(error, self._path.parent, "set cache_path to another file")
        else:
            return
        raise DiskError(f"Batches cannot be put on record in {self._path}: {words}")
