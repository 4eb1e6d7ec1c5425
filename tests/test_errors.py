"""Every error that a user can meet is one sentence, and can be sent from process to process."""

import errno
import pickle
import tempfile

import pytest

from mergeit_ops import errors
from mergeit_ops.core.text import language
from mergeit_ops.errors import DatasetError, DiskError, LLMUnavailableError, MergeItError, named, temporary_files
from mergeit_ops.scorers.familiarity import languages_of

EVERY = [getattr(errors, name) for name in errors.__all__ if name[0].isupper()]


@pytest.mark.parametrize("error", EVERY)
def test_every_error_is_one_of_ours_and_survives_pickling(error):
    assert issubclass(error, MergeItError)
    found = pickle.loads(pickle.dumps(error("a sentence.")))
    assert type(found) is error
    assert str(found) == "a sentence."


def test_what_a_sentence_quotes_cannot_control_a_terminal():
    assert str(DatasetError("a\x1b[31mb\u202e")) == "a\\x1b[31mb\\u202e"
    assert str(MergeItError()) == ""


def test_a_name_comes_before_the_sentence_of_our_errors_alone():
    with pytest.raises(DatasetError, match=r"^op: no rows\.$") as caught, named("op"):
        raise DatasetError("no rows.")
    assert isinstance(caught.value.__cause__, DatasetError)
    with pytest.raises(KeyError), named("op"):
        raise KeyError("x")


def test_the_reason_stays_beside_a_sentence_that_gets_a_name():
    stopped = LLMUnavailableError("Nobody answers. 3 answers are in the journal.")
    stopped.reason = "Nobody answers."
    with pytest.raises(LLMUnavailableError) as caught, named("op"):
        raise stopped
    assert caught.value.reason == "op: Nobody answers."


def test_a_full_folder_of_temporary_files_is_named_with_the_cure(monkeypatch):
    with (
        pytest.raises(DiskError, match=r"^It is written to a temporary file, but the disk that holds .* TMPDIR"),
        temporary_files("It"),
    ):
        raise OSError(errno.ENOSPC, "No space left on device")
    with pytest.raises(FileNotFoundError), temporary_files("It"):
        raise FileNotFoundError(errno.ENOENT, "no such file")
    monkeypatch.setattr(tempfile, "tempdir", "/dev/full-of-files")
    with pytest.raises(DiskError, match="/dev/full-of-files"), temporary_files("It"):
        raise OSError(errno.EDQUOT, "Disk quota exceeded")


def test_the_model_of_languages_that_finds_no_room_is_such_a_case(monkeypatch):
    from mergeit_ops.core.sample import Sample

    def no_room(*texts):
        raise OSError(errno.ENOSPC, "No space left on device")

    monkeypatch.setattr("mergeit_ops.scorers.familiarity.language_of", no_room)
    with pytest.raises(DiskError, match=r"^The model that tells languages is written to a temporary file"):
        languages_of(Sample("a", "", "b"))
    assert language.language_of("") is None
