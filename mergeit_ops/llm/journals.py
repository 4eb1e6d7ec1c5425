"""The journal of a run's answers: a file of this machine, or one that another process holds for many."""

from __future__ import annotations

from collections.abc import Callable, Mapping, Sequence
from typing import Any, Protocol

from mergeit_ops.llm.journal import ANSWERS_FILE, Journal, default_cache_path, journal_file
from mergeit_ops.llm.settings import CACHE_AUTO
from mergeit_ops.worker import worker

__all__ = ["AnswerStore", "journal_place", "open_journal", "share_journals"]


class AnswerStore(Protocol):
    """The stage's interface to a journal; see `Journal`."""

    path: Any
    write_failures: int

    def get(self, key: str) -> str | None:
        """Return a stored answer."""
        ...

    def get_with_model(self, key: str) -> tuple[str, str | None] | None:
        """Return a stored answer, and who gave it."""
        ...

    async def claim(self, key: str) -> tuple[str, str | None] | None:
        """Return a stored answer, and who gave it, or those of another process that is asking the same at the moment.

        None: the caller has to ask, and others wait until it calls `put` or `release`.
        """
        ...

    def release(self, key: str) -> None:
        """Let another process ask, because no answer has come."""
        ...

    def put(
        self, key: str, text: str, usage: tuple[int | None, int | None] = (None, None), *, model: str | None = None
    ) -> None:
        """Store an answer; when this returns it is on disk, or counted as a failed write."""
        ...

    def get_many(self, keys: Sequence[str]) -> dict[str, str]:
        """Return the stored answers among the given keys."""
        ...

    def put_many(self, answers: Mapping[str, str], *, model: str | None = None) -> None:
        """Store answers by their keys; when this returns they are on disk, or counted as failed writes."""
        ...

    def close(self) -> None:
        """Close the journal."""
        ...


Opener = Callable[[str, bool, str], AnswerStore]


def share_journals(opener: Opener | None) -> None:
    """Make this process open its journals by another function from now on.

    :param opener: function of the recipe's `cache_path`, whether to create a missing journal, and its name in a folder;
        None restores files of this machine.
    """
    worker.open_journal = opener


def journal_place(cache_path: str | None) -> str:
    """Return the path of the recipe's journal on the driver's machine, for a message.

    :param cache_path: as in `open_journal`.
    """
    return str(default_cache_path() if cache_path == CACHE_AUTO else journal_file(cache_path))


def open_journal(cache_path: str | None, *, create: bool = True, file_name: str = ANSWERS_FILE) -> AnswerStore:
    """Open the journal that a recipe asks for.

    :param cache_path: a file or folder; `auto`: below the user's cache folder; None: no journal.
    :param create: whether to create a missing file; False is for reading only.
    :param file_name: name of the file in a folder.
    :raises RecipeError: see `Journal`.
    """
    if cache_path is not None and worker.open_journal is not None:
        kept: AnswerStore = worker.open_journal(cache_path, create, file_name)
        return kept
    path = default_cache_path(file_name) if cache_path == CACHE_AUTO else journal_file(cache_path, file_name)
    return Journal(path, create=create)
