"""The cache of a process: it makes each value once, drops the least recently used, and makes room for a large model."""

import pytest

from mergeit_ops.llm.huggingface import loaded_once
from mergeit_ops.worker import Kept, worker


@pytest.fixture(autouse=True)
def _models_of_its_own(monkeypatch):
    monkeypatch.setattr(worker, "models", Kept(2))


def test_a_value_is_made_once_and_a_failure_is_not_kept():
    kept, made = Kept(2), []

    def make():
        made.append(len(made))
        if len(made) == 1:
            raise ValueError("not yet")
        return made[-1]

    with pytest.raises(ValueError, match="not yet"):
        kept.get("a", make)
    assert [kept.get("a", make), kept.get("a", make)] == [1, 1]


def test_the_least_recently_used_value_is_dropped():
    kept = Kept(2)
    for key in ("a", "b", "a", "c"):
        kept.get(key, lambda: object())
    assert set(kept._values) == {"a", "c"}


def test_kept_models_give_way_where_memory_does_not_suffice_for_another():
    loaded_once("first", lambda: "first")

    def load():
        if worker.models._values:
            raise MemoryError
        return "second"

    assert loaded_once("second", load) == "second"
    assert list(worker.models._values) == ["second"]


def test_a_model_that_does_not_fit_alone_is_an_error():
    def load():
        raise MemoryError("too large")

    with pytest.raises(MemoryError, match="too large"):
        loaded_once("any", load)
    loaded_once("first", lambda: "first")
    with pytest.raises(MemoryError, match="too large"):
        loaded_once("any", load)


def test_other_errors_leave_the_kept_models_alone():
    loaded_once("first", lambda: "first")

    def load():
        raise OSError("not there")

    with pytest.raises(OSError, match="not there"):
        loaded_once("second", load)
    assert list(worker.models._values) == ["first"]
