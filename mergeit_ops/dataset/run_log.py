"""What Data-Juicer says in the log about its operators: how many rows each has left, and which of them raised.

By default Data-Juicer drops the rows of a batch that raises in one of its operators, logs the error, and goes on.
"""

from __future__ import annotations

import json
import os
import re
import tempfile
from collections.abc import Mapping
from contextlib import suppress
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any

from loguru import logger

_RAISED = re.compile(r"An error occurred in ([\w.-]+): (.*?)(?: -- Traceback|\Z)", re.DOTALL)
_MOST = 2_000  # characters of a message
_LEFT = re.compile(r"^\[(\d+)/\d+\] OP \[(.+?)\] Done in .*Left (\d+) samples")


@dataclass
class RunLog:
    """What has been heard of a run.

    :param raised: operator to the number of errors logged; on Ray at least as many.
    :param errors: operator to the first of them.
    :param left: number of an operator in the recipe, from 1 on, to the rows that it has left; of the default executor.
    """

    raised: dict[str, int] = field(default_factory=dict)
    errors: dict[str, str] = field(default_factory=dict)
    left: dict[int, int] = field(default_factory=dict)

    def add_errors(self, text: str) -> None:
        """Take down the errors in a text."""
        for name, error in _RAISED.findall(text):
            self.raised[name] = self.raised.get(name, 0) + 1
            if error.strip():
                self.errors.setdefault(name, error.strip().splitlines()[0])


class _Listener:
    """Takes down messages in a file: the forked processes of an operator hear their own only, and share nothing else.

    :param run: what tells the run from others in this process.
    """

    def __init__(self, run: object) -> None:
        self.run = run
        self._file = tempfile.TemporaryFile(buffering=0)  # noqa: SIM115
        self._told: set[str] = set()
        self._on_ray = getattr(run, "executor_type", "default") != "default"
        self._before = _sizes_of_worker_logs() if self._on_ray else {}
        self._handler = logger.add(self._hear, level="INFO", format="{message}", filter=_is_told)

    def _hear(self, message: Any) -> None:
        text = message.record["message"][:_MOST]
        if found := _RAISED.search(text):
            # One operator may raise for each of a million rows: after the first error its name is enough.
            error = found[2] if found[1] not in self._told else ""
            self._told.add(found[1])
            text = f"An error occurred in {found[1]}: {error}"
        # One short write: those of several processes, which share the place in the file, do not mix.
        os.write(self._file.fileno(), json.dumps(text).encode() + b"\n")

    def read(self) -> RunLog:
        heard = RunLog()
        if self._on_ray:
            heard.add_errors(_printed_by_workers(self._before))
        # Without moving the place at which the next message is written.
        for line in os.pread(self._file.fileno(), os.fstat(self._file.fileno()).st_size, 0).splitlines():
            text = json.loads(line)
            if found := _LEFT.match(text):
                heard.left[int(found[1])] = int(found[3])
            heard.add_errors(text)
        return heard

    def close(self) -> None:
        # Somebody may have removed all handlers.
        with suppress(ValueError):
            logger.remove(self._handler)
        self._file.close()


_listener: _Listener | None = None


def listen(run: object) -> bool:
    """Listen to the log from now on; to be called while the operators of a recipe are built.

    :param run: what tells the run from others in this process: its configuration.
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
    """Return what the log has said about a run so far; nothing where nobody listens.

    :param run: as given to `listen`.
    """
    return _listener.read() if _listener is not None and _listener.run is run else RunLog()


def _sizes_of_worker_logs() -> dict[Path, int]:
    from mergeit_ops.distributed.worker_logs import sizes_of_logs

    return sizes_of_logs()


def _printed_by_workers(sizes: dict[Path, int]) -> str:
    from mergeit_ops.distributed.worker_logs import printed_since

    return printed_since(sizes)


def worker_logs() -> str | None:
    """Return where Ray keeps what its workers print; None where it does not run."""
    from mergeit_ops.distributed.worker_logs import logs_folder

    folder = logs_folder()
    return None if folder is None else str(folder / "worker-*.err")


def log_file() -> str | None:
    """Return the path of Data-Juicer's log file; None where it writes none."""
    from data_juicer.utils.logger_utils import get_log_file_path

    path = get_log_file_path()
    return None if path is None else str(path)


def _is_told(record: Mapping[str, Any]) -> bool:
    text = record["message"]
    return "An error occurred in " in text or "] Done in " in text
