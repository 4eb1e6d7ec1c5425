"""What a run leaves of the interpreter's settings: nothing."""

from __future__ import annotations

import gc
import weakref

import pytest

from mergeit_ops.llm.running import spared_collections


class Cycle:
    def __init__(self):
        self.itself = self


def test_what_lived_before_is_spared_and_what_comes_after_is_collected():
    old = Cycle()
    old_lives = weakref.ref(old)
    with spared_collections():
        del old
        new = Cycle()
        new_lives = weakref.ref(new)
        del new
        gc.collect()
        assert old_lives() is not None
        assert new_lives() is None
    gc.collect()
    assert old_lives() is None


def test_an_error_does_not_leave_the_heap_frozen():
    def fail():
        with spared_collections():
            assert gc.get_freeze_count() > 0
            raise ValueError("stop")

    with pytest.raises(ValueError, match="stop"):
        fail()
    assert gc.get_freeze_count() == 0
