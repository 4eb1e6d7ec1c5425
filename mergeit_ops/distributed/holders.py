"""Processes that hold something of an actor, and whether they are alive, as far as the actor can tell from messages."""

from __future__ import annotations

import time

__all__ = ["LOST_S", "POLL_S", "Holders"]

POLL_S = 5.0
"""Seconds between two messages of a process that holds something, so that the actor knows that it lives."""

LOST_S = 60.0
"""Seconds without a message after which a process counts as lost."""


class Holders:
    """The processes from which an actor has heard.

    A process counts as lost if it has sent no message for a minute, or if Ray has started its task again.
    """

    def __init__(self) -> None:
        self._of_task: dict[str, str] = {}
        self._heard: dict[str, float] = {}
        self._replaced: set[str] = set()

    def start(self, task: str, holder: str) -> str | None:
        """Register the process of a task.

        :param task: id of the task; it stays the same when Ray runs the task again.
        :param holder: name of the process; it may register again.
        :return: the process that had the task before, which is lost; None if there was none.
        """
        self.hear(holder)
        earlier = self._of_task.get(task)
        # A message may arrive after its sender has died.
        if holder in self._replaced or earlier == holder:
            return None
        self._of_task[task] = holder
        if earlier is not None:
            self._replaced.add(earlier)
        return earlier

    def hear(self, holder: str) -> None:
        """Record that a message has come.

        :param holder: name of its sender.
        """
        self._heard[holder] = time.monotonic()

    def lost(self, holder: str) -> bool:
        """Return whether a process counts as lost.

        :param holder: its name.
        """
        silent_s = time.monotonic() - self._heard.get(holder, float("-inf"))
        return holder in self._replaced or silent_s > LOST_S
