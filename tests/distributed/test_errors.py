"""Our errors as they cross from a worker to the driver."""

import errno
import traceback

import pytest
from ray.exceptions import ObjectStoreFullError, RayTaskError

from mergeit_ops.distributed.errors import own_errors
from mergeit_ops.errors import DatasetError, DiskError


def task_error(cause: Exception) -> Exception:
    """Return what Ray raises on the driver for an error of a task."""
    return RayTaskError("task", "Traceback ...", cause).as_instanceof_cause()


def raised(error: Exception) -> Exception:
    with pytest.raises(type(error) if isinstance(error, KeyError) else Exception) as caught, own_errors():
        raise error
    return caught.value


def test_an_error_of_ours_is_raised_as_the_task_raised_it():
    found = raised(task_error(DatasetError("one sentence.")))
    assert type(found) is DatasetError
    assert str(found) == "one sentence."
    shown = "".join(traceback.format_exception(found))
    assert "RayTaskError" not in shown
    assert "During handling" not in shown


@pytest.mark.parametrize(
    "error",
    [
        ObjectStoreFullError("full"),
        OSError(errno.ENOSPC, "No space left on device"),
        task_error(OSError(errno.ENOSPC, "No space left on device")),
    ],
)
def test_a_full_disk_says_where_ray_keeps_its_rows(error):
    found = raised(error)
    assert type(found) is DiskError
    assert "RAY_TMPDIR" in str(found)


def test_any_other_error_stays_what_it_is():
    assert isinstance(raised(KeyError("x")), KeyError)
    assert isinstance(raised(task_error(ValueError("boom"))), ValueError)
    assert raised(PermissionError(errno.EACCES, "denied")).errno == errno.EACCES
    with own_errors():
        pass
