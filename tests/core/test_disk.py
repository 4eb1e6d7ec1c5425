"""Messages about folders that cannot be written."""

import errno

import pytest

from mergeit_ops.core.disk import is_full, unwritable


@pytest.mark.parametrize(
    "error",
    [
        OSError(errno.ENOSPC, "words of any language"),
        OSError(errno.EDQUOT, "x"),
        OSError(errno.EFBIG, "x"),
        RuntimeError("IOError: [Errno 28] No space left on device"),
        ValueError("database or disk is full"),
    ],
)
def test_a_full_disk_is_known_by_its_number_or_by_the_text_that_a_library_keeps(error):
    assert is_full(error)
    assert unwritable(error, "/out", "set TMPDIR") == (
        "the disk that holds /out is full. Make room there, or set TMPDIR."
    )


@pytest.mark.parametrize("error", [PermissionError(errno.EACCES, "Permission denied"), ValueError(""), KeyError("x")])
def test_another_error_is_repeated_on_one_line(error):
    assert not is_full(error)
    sentence = unwritable(error, "/out", "choose another folder")
    assert sentence.startswith("/out cannot be written (")
    assert sentence.endswith("). Make it writable, or choose another folder.")


def test_an_error_of_several_lines_becomes_one():
    assert "(first second)" in unwritable(OSError("first\n  second\n"), "/out", "x")
