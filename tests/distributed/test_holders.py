"""Which processes an actor takes for lost."""

from __future__ import annotations

import time

from mergeit_ops.distributed import holders
from mergeit_ops.distributed.holders import Holders


def test_a_process_is_lost_when_it_is_silent_and_found_when_it_is_heard_again(monkeypatch):
    monkeypatch.setattr(holders, "LOST_S", 0.05)
    known = Holders()
    known.hear("h")
    assert not known.lost("h")
    time.sleep(0.1)
    assert known.lost("h")
    known.hear("h")
    assert not known.lost("h")


def test_a_process_whose_task_starts_again_stays_lost_whatever_arrives_late():
    known = Holders()
    assert known.start("t", "first") is None
    assert known.start("t", "first") is None
    assert known.start("t", "second") == "first"
    known.hear("first")
    assert known.start("t", "first") is None
    assert known.lost("first")
    assert not known.lost("second")


def test_a_process_that_was_never_heard_is_lost():
    assert Holders().lost("h")
