"""Our errors as they cross from a worker to the driver."""

from __future__ import annotations

from collections.abc import Iterator
from contextlib import contextmanager

from ray.exceptions import RayError, RayTaskError

from mergeit_ops.errors import MergeItError


@contextmanager
def own_errors() -> Iterator[None]:
    """Raise our errors as a task raised them: one sentence, without Ray's account of its workers."""
    try:
        yield
    except RayError as error:
        own = _own(error)
        if own is None:
            raise
    else:
        return
    # Outside the handler, so that a user's traceback is one sentence and not a history.
    raise own


def _own(error: BaseException | None) -> MergeItError | None:
    # What Ray raises is of our class and of its own at once: the one that the task raised is inside.
    while isinstance(error, RayTaskError) or (error is not None and not isinstance(error, MergeItError)):
        error = getattr(error, "cause", None) or error.__cause__
    return error
