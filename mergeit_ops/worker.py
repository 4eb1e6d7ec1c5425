"""What a process keeps from one piece of work to the next: models, scorers, and where its journals are."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Kept", "Worker", "worker"]


class Kept:
    """Values that are made once and kept. The least recently used one is dropped before one too many is made.

    :param most: values to keep at most, >= 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._making = threading.Lock()

    def get(self, key: str, make: Callable[[], Any]) -> Any:
        """Return the value of a key.

        :param key: everything that tells one value from another.
        :param make: makes it; what it raises is not kept. One value is made at a time.
        """
        with self._making:
            if key not in self._values:
                while len(self._values) >= self._most:
                    self._values.popitem(last=False)
                self._values[key] = make()
            self._values.move_to_end(key)
            return self._values[key]

    def clear(self) -> bool:
        """Drop all values, and return whether there were any. A value lives on where somebody else holds it."""
        had_some = bool(self._values)
        self._values.clear()
        return had_some


@dataclass
class Worker:
    """The one of this process is `worker`.

    :param models: language models and classifiers. Two, because a cascade may ask two in turn.
    :param encoders: sentence encoders.
    :param scorers: scorers of the filters whose tasks ran in this process on Ray. They are small, and count what they
        cost.
    :param benchmarks: indexes of benchmarks. A recipe has one, or two with other bounds.
    :param open_journal: opens the journals that the driver keeps; None: they are files of this machine.
    """

    models: Kept = field(default_factory=lambda: Kept(2))
    encoders: Kept = field(default_factory=lambda: Kept(2))
    scorers: Kept = field(default_factory=lambda: Kept(64))
    benchmarks: Kept = field(default_factory=lambda: Kept(2))
    open_journal: Callable[[str, bool, str], Any] | None = None


worker = Worker()
