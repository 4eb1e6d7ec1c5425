"""What the tasks of a lazy stage tell the driver.

Data-Juicer maps a filter's batches lazily and gives the driver no moment at which it is done. So the tasks report to an
actor as they go, and the driver writes the record when the process ends.
"""

from __future__ import annotations

import atexit
import hashlib
import json
import time
from collections.abc import Callable, Mapping
from functools import partial
from typing import Any

import pyarrow as pa
import ray

from mergeit_ops.core.identity import content_digests
from mergeit_ops.dataset.manifest import Manifest, added_up, log_summary
from mergeit_ops.dataset.tables import python_columns

_open: list[Callable[[], None]] = []


@ray.remote(num_cpus=0)
class _Ledger:
    """Holds the latest report of every part, so that a part that is run again counts once."""

    def __init__(self) -> None:
        self._parts: dict[str, Mapping[str, Any]] = {}

    def note(self, part: str, told: Mapping[str, Any]) -> None:
        self._parts[part] = told

    def total(self) -> dict[str, Any]:
        return added_up(self._parts.values())


def ledger_name(operator: Any) -> str:
    """Return how the driver and the tasks of an operator find its ledger."""
    return f"{operator._name} {operator.work_dir} {json.dumps(operator.parameters, sort_keys=True, default=str)}"


def batch_name(table: pa.Table) -> str:
    """Return a name for a batch by what it holds: one that is run again counts once."""
    return hashlib.sha256("".join(content_digests(python_columns(table), table.num_rows)).encode()).hexdigest()


def open_ledger(name: str, manifest: Manifest, work_dir: str | None) -> None:
    """Start to collect reports; the record is written and the summary logged when this process ends.

    :param name: how tasks find the ledger; opening it again goes on with the same one.
    :param manifest: the record, without figures yet.
    :param work_dir: the run's work dir; None writes nothing.
    """
    try:
        ray.get_actor(name)
    except ValueError:
        ledger = _Ledger.options(name=name).remote()  # type: ignore[attr-defined]
        _open.append(partial(_close, ledger, manifest, time.perf_counter(), work_dir))
        # Ray's own hook is older, so it runs after this one.
        atexit.unregister(close_ledgers)
        atexit.register(close_ledgers)


def close_ledgers() -> None:
    """Complete the records of all filters that are being collected."""
    while _open:
        _open.pop(0)()


def report(name: str, part: str, figures: Mapping[str, Any], details: Mapping[str, Any] | None = None) -> None:
    """Tell the ledger, from a task; waits until it has heard, since the driver may ask for the total next.

    :param name: of the ledger.
    :param part: what the figures are about; those of the same part before are forgotten.
    :param figures: of the part.
    :param details: of the part, for the record alone.
    """
    try:
        ledger = ray.get_actor(name)
    except ValueError:  # an operator used without Data-Juicer's executor has none
        return
    ray.get(ledger.note.remote(part, {"figures": figures, "details": details or {}}))


def _close(ledger: Any, manifest: Manifest, started: float, work_dir: str | None) -> None:
    if not ray.is_initialized():
        return
    try:
        total = ray.get(ledger.total.remote(), timeout=60)
        ray.kill(ledger)
        manifest.figures |= total.get("figures", {})
        manifest.details |= total.get("details", {})
    except ray.exceptions.RayError:
        manifest.details["incomplete"] = "the cluster went away before it could be asked"
    manifest.finish(time.perf_counter() - started, work_dir)
    log_summary(work_dir)
