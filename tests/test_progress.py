"""Progress bars: one style, no bar for quick work, and regular messages for work that cannot be counted."""

from __future__ import annotations

import threading
import time

from mergeit_ops.progress import counted, progress_bar, working
from tests.conftest import REPOSITORY


def test_what_is_quick_shows_nothing(capsys):
    assert list(counted(range(5), 5, "rows", "rows")) == [0, 1, 2, 3, 4]
    with working("thinking"):
        pass
    assert capsys.readouterr().err == ""


def test_what_takes_long_shows_what_it_does_and_how_far_it_is(capsys):
    with progress_bar(4, "an_operator", "topics", delay_s=0.0) as bar:
        bar.update(4)
    shown = capsys.readouterr().err
    assert "an_operator: 100%" in shown
    assert "4/4" in shown
    assert "topics/s" in shown


def test_what_cannot_be_counted_shows_the_time_that_it_takes(capsys):
    with working("fitting 3 topics", delay_s=0.05):
        time.sleep(0.3)
    assert "fitting 3 topics: 00:00" in capsys.readouterr().err
    # A fork can hang if another thread runs.
    assert "progress" not in {thread.name for thread in threading.enumerate()}


def test_an_error_passes_and_ends_the_clock():
    try:
        with working("failing", delay_s=0.0):
            raise ValueError
    except ValueError:
        assert "progress" not in {thread.name for thread in threading.enumerate()}
    else:
        raise AssertionError


def test_all_bars_have_one_style():
    package = REPOSITORY / "mergeit_ops"
    own = {path.relative_to(package).as_posix() for path in package.rglob("*.py") if "tqdm(" in path.read_text("utf-8")}
    assert own == {"progress.py"}
