"""Every error a user can meet: one sentence that survives the way between processes."""

import pickle

import pytest

from mergeit_ops import errors
from mergeit_ops.errors import DatasetError, LLMUnavailableError, MergeItError, named

EVERY = [getattr(errors, name) for name in errors.__all__ if name != "named"]


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
