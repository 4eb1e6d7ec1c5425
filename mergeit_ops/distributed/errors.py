"""Our errors on their way from a worker to the driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import ObjectStoreFullError, OutOfDiskError, RayError, RayTaskError

from mergeit_ops.core.disk import is_full
from mergeit_ops.errors import DiskError, MergeItError


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise the error that a task raised, without what Ray says about its workers.

    :raises MergeItError: the task's error, if it is one of ours.
    :raises DiskError: if a disk or the object store of the cluster is full.
    """
    try:
        yield
    except (RayError, OSError) as error:
        own = _own(error) or _no_room(error)
        if own is None:
            raise
        # The user reads one sentence, so the chain of causes is left out.
        raise own from None


def _own(error: BaseException | None) -> MergeItError | None:
    # Ray raises an error of a class that it derives from ours. That error holds the one that the task raised.
    while isinstance(error, RayTaskError) or (error is not None and not isinstance(error, MergeItError)):
        error = _inner(error)
    return error


def _no_room(error: BaseException | None) -> DiskError | None:
    while error is not None:
        if isinstance(error, (OutOfDiskError, ObjectStoreFullError)) or is_full(error):
            return DiskError(
                "The Ray cluster has no room left. If rows do not fit into the memory of its object store, Ray keeps "
                "them in its temporary folder, by default /tmp/ray on every node. Make room there, or start Ray with "
                "another folder (ray start --temp-dir, or the environment variable RAY_TMPDIR) or with more memory "
                "(ray start --object-store-memory)."
            )
        error = _inner(error)
    return None


def _inner(error: BaseException) -> BaseException | None:
    return getattr(error, "cause", None) or error.__cause__
