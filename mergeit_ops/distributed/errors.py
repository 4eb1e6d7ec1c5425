"""Our errors as they cross from a worker to the driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import ObjectStoreFullError, OutOfDiskError, RayError, RayTaskError

from mergeit_ops.core.disk import is_full
from mergeit_ops.errors import DiskError, MergeItError


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise our errors as a task raised them: one sentence, without Ray's account of its workers.

    A full disk of the cluster is such an error too, whoever found it full.
    """
    try:
        yield
    except (RayError, OSError) as error:
        own = _own(error) or _no_room(error)
        if own is None:
            raise
        # A user's traceback is one sentence and not a history.
        raise own from None


def _own(error: BaseException | None) -> MergeItError | None:
    # What Ray raises is of our class and of its own at once: the one that the task raised is inside.
    while isinstance(error, RayTaskError) or (error is not None and not isinstance(error, MergeItError)):
        error = _inner(error)
    return error


def _no_room(error: BaseException | None) -> DiskError | None:
    while error is not None:
        if isinstance(error, (OutOfDiskError, ObjectStoreFullError)) or is_full(error):
            return DiskError(
                "The Ray cluster has no room left. Ray keeps rows that do not fit into the memory of its object store "
                "in its temporary folder, by default /tmp/ray on every node. Make room there, or start Ray with "
                "another folder (ray start --temp-dir, or the environment variable RAY_TMPDIR) or with more memory "
                "(ray start --object-store-memory)."
            )
        error = _inner(error)
    return None


def _inner(error: BaseException) -> BaseException | None:
    return getattr(error, "cause", None) or error.__cause__
