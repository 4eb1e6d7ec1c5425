"""Objects that a process keeps between pieces of work: models, scorers, and the way to open its journals."""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

__all__ = ["Kept", "Worker", "worker"]


class Kept:
    """Values that are made once and kept. If there are too many, the least recently used one is dropped before a new
    one is made.

    :param most: most values to keep, >= 1.
    """

    def __init__(self, most: int) -> None:
        self._most = most
        self._values: OrderedDict[str, Any] = OrderedDict()
        self._making = threading.Lock()

    def get(self, key: str, make: Callable[[], Any]) -> Any:
        """Return the value of a key.

        :param key: everything that distinguishes one value from another.
        :param make: function that makes the value; its exceptions are not kept. Only one value is made at a time.
        """
        with self._making:
            if key not in self._values:
                while len(self._values) >= self._most:
                    self._values.popitem(last=False)
                self._values[key] = make()
            self._values.move_to_end(key)
            return self._values[key]

    def clear(self) -> bool:
        """Drop all values, and return whether there were any. Other references to a value stay valid."""
        had_some = bool(self._values)
        self._values.clear()
        return had_some


@dataclass
class Worker:
    """Objects that a process keeps; `worker` holds those of this process.

    :param models: language models and classifiers. Two, because a cascade may ask two in turn.
    :param encoders: sentence encoders.
    :param scorers: scorers of the filters whose tasks ran in this process on Ray. They are small, and count what they
        cost.
    :param benchmarks: indexes of benchmarks. A recipe has one, or two with other bounds.
    :param open_journal: function that opens the journals of the driver; None: journals are files on this machine.
    """

    models: Kept = field(default_factory=lambda: Kept(2))
    encoders: Kept = field(default_factory=lambda: Kept(2))
    scorers: Kept = field(default_factory=lambda: Kept(64))
    benchmarks: Kept = field(default_factory=lambda: Kept(2))
    open_journal: Callable[[str, bool, str], Any] | None = None


worker = Worker()
