"""Reports of the tasks of a lazy stage to the driver.

Data-Juicer maps a filter's batches lazily, and the driver does not learn when the filter is done. So the tasks report
to an actor while they run. The driver completes the record when a later operator of ours has all its rows, or when the
process ends.
"""

from __future__ import annotations

import atexit
import hashlib
import sys
import threading
import time
import uuid
from collections import Counter
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import dataclass
from typing import Any, Protocol, TypeVar

import pyarrow as pa
import ray

from mergeit_ops.core.rows.identity import content_digests
from mergeit_ops.dataset.manifest import Manifest, added_up, log_summary, run_of
from mergeit_ops.dataset.recipe import RecipeOperator
from mergeit_ops.dataset.tables import python_columns
from mergeit_ops.distributed.kept_actors import on_this_machine

_PATIENCE_S = 60.0

T = TypeVar("T")


class RecordedOperator(RecipeOperator, Protocol):
    """An operator of ours that leaves a record."""

    place: int | None

    def new_manifest(self) -> Manifest:
        """Return its record, not yet begun."""
        ...


@ray.remote(num_cpus=0)
class _Ledger:
    """Holds the latest report of every part, so that a part that runs again counts once."""

    def __init__(self) -> None:
        self._parts: dict[str, Mapping[str, Any]] = {}

    def note(self, part: str, told: Mapping[str, Any]) -> None:
        self._parts[part] = told

    def total(self) -> dict[str, Any]:
        return added_up(self._parts.values())


@dataclass(frozen=True)
class _Open:
    """A ledger that tasks still report to, with its record."""

    name: str
    actor: Any
    manifest: Manifest
    started: float
    work_dir: str | None


_open: dict[str, _Open] = {}
_kept: dict[str, Any] = {}
_lock = threading.Lock()


_batches_of_task: tuple[str, Counter[str]] = ("", Counter())


def batch_name(table: pa.Table) -> str:
    """Return a name for a batch, from its content and the id of its task. Ray keeps this id if it runs the task again.

    :param table: the batch.
    """
    global _batches_of_task
    task = ray.get_runtime_context().get_task_id() or ""
    if task != _batches_of_task[0]:
        _batches_of_task = task, Counter()
    seen = _batches_of_task[1]
    digest = hashlib.sha256("".join(content_digests(python_columns(table), table.num_rows)).encode()).hexdigest()
    seen[digest] += 1
    # A dataset may contain equal batches.
    return f"{task} {digest} {seen[digest]}"


def open_ledger(operator: RecordedOperator) -> str:
    """Begin the record of an operator and collect what its tasks report.

    :param operator: a filter, on the driver. Its copies, one for each partition, share a ledger. The operator's place
        in the recipe identifies the ledger, so two filters with equal parameters have two.
    :return: the name by which tasks find the ledger.
    """
    with _lock:
        if not _open:
            # Ray's own hook is older, so it runs after this one.
            atexit.unregister(_at_exit)
            atexit.register(_at_exit)
        name = _name_for(operator)
        if name not in _open:
            manifest = operator.new_manifest()
            manifest.begin(operator.work_dir)
            options = _Ledger.options(name=name, scheduling_strategy=on_this_machine())  # type: ignore[attr-defined]
            actor = options.remote()
            _open[name] = _Open(name, actor, manifest, time.perf_counter(), operator.work_dir)
    return name


def kept_with(name: str, make: Callable[[], T]) -> T:
    """Return an object that an operator keeps on the driver while its ledger is open. The operator's copies share it.

    :param name: name of the ledger.
    :param make: function that makes the object, for the first copy.
    """
    with _lock:
        if name not in _kept:
            _kept[name] = make()
        found: T = _kept[name]
    return found


def _name_for(operator: RecordedOperator) -> str:
    whose = uuid.uuid4().hex if operator.place is None else f"{operator.work_dir} place {operator.place}"
    return f"{operator._name} {run_of(operator.work_dir)} {whose}"


def report(name: str | None, part: str, figures: Mapping[str, Any], details: Mapping[str, Any] | None = None) -> None:
    """Report to the ledger from a task. Wait until it has the report, because the driver may ask for the total next.

    :param name: name of the ledger; None: there is none, because the operator runs without Data-Juicer's executor.
    :param part: name of the part. Its figures replace earlier figures of the same part.
    :param figures: figures of the part.
    :param details: details of the part, only for the record.
    """
    try:
        ledger = None if name is None else ray.get_actor(name)
    except ValueError:  # closed: Ray repeats a task of a finished stage to replace lost rows
        return
    if ledger is not None:
        ray.get(ledger.note.remote(part, {"figures": figures, "details": details or {}}))


@contextmanager
def stops_reported(name: str | None) -> Iterator[None]:
    """Report to the ledger if a task stops with an error, which ends the run.

    :param name: name of the ledger; None: there is none.
    """
    try:
        yield
    except Exception as error:
        report(name, "stopped", {}, {"stopped": type(error).__name__})
        raise


def close_ledgers() -> None:
    """Complete the records of all open ledgers, in the order of the recipe."""
    _close_all(interrupted=False)


def _at_exit() -> None:
    # If an error ends the process, rows of earlier filters may never have arrived.
    _close_all(interrupted=getattr(sys, "last_exc", None) is not None or getattr(sys, "last_value", None) is not None)


def _close_all(interrupted: bool) -> None:
    with _lock:
        ledgers = list(_open.values())
        _open.clear()
        _kept.clear()
    for ledger in ledgers:
        _close(ledger, interrupted)
    for work_dir in dict.fromkeys(ledger.work_dir for ledger in ledgers):
        log_summary(work_dir)


def _close(ledger: _Open, interrupted: bool) -> None:
    manifest = ledger.manifest
    try:
        total = ray.get(ledger.actor.total.remote(), timeout=_PATIENCE_S) if ray.is_initialized() else None
        if total is None:
            manifest.details["incomplete"] = "the cluster ended before the driver asked for the figures"
        else:
            # A stage without rows gets no report.
            manifest.figures |= {"rows_in": 0, "rows_out": 0, **total.get("figures", {})}
            manifest.details |= total.get("details", {})
            ray.kill(ledger.actor)
    except ray.exceptions.RayError:
        manifest.details["incomplete"] = "the cluster ended before the driver had the figures"
    if interrupted:
        manifest.details.setdefault("stopped", "another operator")
    manifest.finish(time.perf_counter() - ledger.started, ledger.work_dir)
