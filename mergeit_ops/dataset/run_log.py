"""Data-Juicer's log messages about its operators: the rows after each, and which of them raised.

By default Data-Juicer drops the rows of a batch that raises in one of its operators, logs the error, and continues.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from typing import Any

from loguru import logger

from mergeit_ops.dataset.worker_logs import logs_folder, printed_since, sizes_of_logs

_RAISED = re.compile(r"An error occurred in ([\w.-]+): (.*?)(?: -- Traceback|\Z)", re.DOTALL)
_MOST = 2_000  # characters of a message
_LEFT = re.compile(r"^\[(\d+)/\d+\] OP \[(.+?)\] Done in .*Left (\d+) samples")


@dataclass
class RunLog:
    """The log messages about a run.

    :param raised: operator to the number of errors logged; on Ray at least as many.
    :param errors: operator to the first of them.
    :param left: number of an operator in the recipe, from 1, to the number of rows after it; default executor only.
    """

    raised: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    left: dict[int, int] = field(default_factory=dict)

    def add_errors(self, text: str) -> None:
        """Record the errors in a text."""
        for name, error in _RAISED.findall(text):
            self.raised[name] = self.raised.get(name, 0) + 1
            if error.strip():
                self.errors.setdefault(name, error.strip().splitlines()[0])


class _Listener:
    """Records messages in a file, because the forked processes of an operator share nothing else.

    :param run: identifies the run in this process.
    """

    def __init__(self, run: object) -> None:
        self.run = run
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._told: set[str] = set()
        self._on_ray = getattr(run, "executor_type", "default") != "default"
        self._before = sizes_of_logs() if self._on_ray else {}
        self._handler = logger.add(self._hear, level="INFO", format="{message}", filter=_is_told)

    def _hear(self, message: Any) -> None:
        text = message.record["message"][:_MOST]
        if found := _RAISED.search(text):
            # An operator may raise for each of a million rows, so only its name is kept after the first error.
            error = found[2] if found[1] not in self._told else ""
            self._told.add(found[1])
            text = f"An error occurred in {found[1]}: {error}"
        # One short write, so that messages of several processes do not mix; they share the file position.
        os.write(self._file.fileno(), json.dumps(text).encode() + b"\n")

    def read(self) -> RunLog:
        heard = RunLog()
        if self._on_ray:
            heard.add_errors(printed_since(self._before))
        # This does not move the position at which the next message is written.
        for line in os.pread(self._file.fileno(), os.fstat(self._file.fileno()).st_size, 0).splitlines():
            text = json.loads(line)
            if found := _LEFT.match(text):
                heard.left[int(found[1])] = int(found[3])
            heard.add_errors(text)
        return heard

    def close(self) -> None:
        # Other code may have removed all handlers.
        with suppress(ValueError):
            logger.remove(self._handler)
        self._file.close()


_listener: _Listener | None = None


def listen(run: object) -> bool:
    """Start to record the log; called while the operators of a recipe are built.

    :param run: identifies the run in this process: its configuration.
    :return: whether this is the first call for the run.
    """
    global _listener
    if _listener is not None:
        if _listener.run is run:
            return False
        _listener.close()
    _listener = _Listener(run)
    return True


def heard(run: object) -> RunLog:
    """Return the log messages about a run so far; empty if the log is not recorded.

    :param run: as given to `listen`.
    """
    return _listener.read() if _listener is not None and _listener.run is run else RunLog()


def worker_logs() -> str | None:
    """Return the folder of the logs of Ray's workers; None if Ray does not run."""
    folder = logs_folder()
    return None if folder is None else str(folder / "worker-*.err")


def log_file() -> str | None:
    """Return the path of Data-Juicer's log file; None if it writes none."""
    from data_juicer.utils.logger_utils import get_log_file_path

    path = get_log_file_path()
    return None if path is None else str(path)


def _is_told(record: Mapping[str, Any]) -> bool:
    text = record["message"]
    return "An error occurred in " in text or "] Done in " in text
