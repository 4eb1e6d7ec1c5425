"""Losses on disk: what they are known by, what is read again, and what a killed run leaves."""

import math
import os
import signal
import subprocess
import sys
import textwrap
import threading
import time

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.response_loss import Span
from mergeit_ops.errors import RecipeError
from mergeit_ops.llm.journal import LOSSES_FILE, Journal, default_cache_path
from mergeit_ops.llm.journal_contents import by_model
from mergeit_ops.llm.loss_journal import LossJournal
from mergeit_ops.llm.loss_passes import LossPasses
from mergeit_ops.llm.losses import LossModel, load_loss_model
from mergeit_ops.scorers.loss_settings import LossSettings
from mergeit_ops.scorers.response_loss import ResponseLossScorer
from tests import tiny_models

SPANS = [Span((5, 6, 7, 8), 1), Span((5, 6, 7, 8), 2), Span((5, 6, 7, 8), 2, 3), Span((9, 9, 9), 1)]


@pytest.fixture
def passes() -> LossPasses:
    return load_loss_model(tiny_models.gpt2_folder(), {}, "cpu", "float32").passes


@pytest.fixture
def texts_read(passes):
    """How many texts each pass of the model reads."""
    read = []
    body = passes._model.base_model
    handle = body.register_forward_hook(lambda *call: read.append(call[-1].last_hidden_state.shape[0]))
    yield read
    handle.remove()


def journal(path, **identity) -> LossJournal:
    return LossJournal("tiny", {"files": "a"} | identity, str(path))


def test_what_is_stored_is_not_read_again_and_is_the_same_to_the_last_bit(passes, texts_read, tmp_path):
    first = LossModel(passes, journal(tmp_path)).losses(SPANS)
    assert sum(texts_read) == 2  # two texts, of which one has three spans
    assert [loss for loss, _ in first] == LossModel(passes).mean_losses(SPANS)
    texts_read.clear()
    again = LossModel(passes, journal(tmp_path)).losses([*SPANS, Span((7, 7), 1)])
    assert [loss for loss, _ in again[:-1]] == [loss for loss, _ in first]
    assert texts_read == [1]
    assert (tmp_path / LOSSES_FILE).exists()


@pytest.mark.parametrize(
    ("identity", "span"),
    [
        ({"files": "b"}, SPANS[1]),
        ({"dtype": "bfloat16"}, SPANS[1]),
        ({}, Span((5, 6, 7, 8), 3)),
        ({}, Span((5, 6, 7), 2)),
        ({}, Span((5, 6, 7, 9), 2)),
        ({}, Span((4, 6, 7, 8), 2)),
    ],
)
def test_a_loss_is_that_of_a_model_and_of_the_tokens_that_it_depends_on(tmp_path, identity, span):
    journal(tmp_path).put(SPANS[1:2], [(1.5, math.nan)])
    assert journal(tmp_path, **identity).get([span], False) == {}
    longer = Span((5, 6, 7, 8, 9, 9), 2, 4)  # what comes later changes nothing
    assert journal(tmp_path).get([longer], False)[0][0] == 1.5


def test_a_loss_without_its_surprise_is_read_again_where_that_is_wanted(passes, texts_read, tmp_path):
    model = LossModel(passes, journal(tmp_path))
    model.losses(SPANS[:1])
    assert not math.isnan(model.losses(SPANS[:1], surprise=True)[0][1])
    assert len(texts_read) == 2
    stored = model.losses(SPANS[:1], surprise=True)
    assert stored == LossModel(passes).losses(SPANS[:1], surprise=True)
    assert math.isnan(model.losses(SPANS[:1])[0][1])
    assert len(texts_read) == 3


def test_losses_behind_a_text_are_those_of_the_whole_text_and_nothing_is_read_for_what_is_known(
    passes, texts_read, tmp_path
):
    model = LossModel(passes, journal(tmp_path))
    behind = model.mean_losses_behind(model.read([1, 2]), [Span((5, 6, 7), 1), Span((8, 9), 1)])
    texts_read.clear()
    whole = [Span((1, 2, 5, 6, 7), 3), Span((1, 2, 8, 9), 3)]
    assert model.mean_losses(whole) == behind
    assert model.mean_losses_behind(model.read([1, 2]), [Span((8, 9), 1)]) == behind[1:]
    assert texts_read == []
    assert behind == pytest.approx(LossModel(passes).mean_losses(whole), abs=1e-5)


def test_numbers_that_are_not_finite_are_kept_as_they_are(tmp_path):
    journal(tmp_path).put(SPANS[:2], [(math.inf, math.nan), (1.0, 0.25)])
    found = journal(tmp_path).get(SPANS, True)
    assert found == {1: (1.0, 0.25)}
    assert journal(tmp_path).get(SPANS, False)[0][0] == math.inf


def test_many_may_write_at_once(tmp_path):
    def write(number: int) -> None:
        mine = journal(tmp_path)
        for token in range(50):
            mine.put([Span((number, token, 1), 1), Span((number, token, 2), 1)], [(1.0, math.nan)] * 2)

    threads = [threading.Thread(target=write, args=(number,)) for number in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    (stored,) = by_model(tmp_path / LOSSES_FILE)
    assert (stored.model, stored.answers) == ("tiny", 400)


def test_the_default_is_a_file_of_its_own_in_the_cache_folder_and_null_is_none():
    settings = {"owner": "x", "hf_model": tiny_models.gpt2_folder()}
    LossSettings(**settings, cache_path=None).load().losses(SPANS)
    assert not default_cache_path().parent.exists()
    LossSettings(**settings).load().losses(SPANS)
    assert [path.name for path in default_cache_path().parent.iterdir() if path.suffix == ".sqlite3"] == [LOSSES_FILE]


def test_where_a_model_runs_changes_no_key_and_how_it_is_loaded_does(texts_read, tmp_path):
    def read(**changes) -> int:
        before = sum(texts_read)
        given = {"owner": "x", "hf_model": tiny_models.gpt2_folder(), "cache_path": str(tmp_path)} | changes
        LossSettings(**given).load().losses(SPANS[:1])
        return sum(texts_read) - before

    assert read() == 1
    assert read() == read(max_length=7, prompt="alpaca", device="cpu") == 0


def test_a_file_of_another_program_is_refused_before_the_model_loads(tmp_path):
    import sqlite3

    with sqlite3.connect(tmp_path / "mine.db") as connection:
        connection.execute("CREATE TABLE notes (text)")
    with pytest.raises(RecipeError, match="database of another program"):
        ResponseLossScorer(hf_model="no/such", cache_path=str(tmp_path / "mine.db")).score([Sample("a", "", "b")])


ROWS = [Sample(f"Say {number}.", "", f"{number} " * (number % 5 + 1)) for number in range(60)]

KILLED = """
    import sys, time
    from mergeit_ops.llm.losses import load_loss_model
    from mergeit_ops.scorers.response_loss import ResponseLossScorer
    from tests.llm.test_loss_journal import ROWS

    folder, cache = sys.argv[1:]
    passes = load_loss_model(folder, {}, "cpu", "float32").passes
    passes.most_tokens = 64
    passes._model.base_model.register_forward_hook(lambda *call: time.sleep(0.05))
    ResponseLossScorer(hf_model=folder, cache_path=cache).score(ROWS)
"""


@pytest.mark.slow
def test_a_run_that_is_killed_goes_on_where_it_was(passes, texts_read, tmp_path):
    folder, file = tiny_models.gpt2_folder(), tmp_path / "losses.db"
    script = textwrap.dedent(KILLED)
    process = subprocess.Popen([sys.executable, "-c", script, folder, str(file)], env=os.environ.copy())
    deadline = time.monotonic() + 120
    while not (file.exists() and by_model_of(file) >= 20):
        assert process.poll() is None
        assert time.monotonic() < deadline
        time.sleep(0.02)
    process.send_signal(signal.SIGKILL)
    process.wait()
    stored = by_model_of(file)
    assert 20 <= stored < 2 * len(ROWS)
    found = ResponseLossScorer(hf_model=folder, cache_path=str(file)).score(ROWS)
    assert sum(texts_read) == 2 * len(ROWS) - stored
    texts_read.clear()
    assert ResponseLossScorer(hf_model=folder, cache_path=str(file)).score(ROWS) == found
    assert texts_read == []
    anew = ResponseLossScorer(hf_model=folder, cache_path=None).score(ROWS)
    assert [score.value for score in found] == pytest.approx([score.value for score in anew], rel=1e-5)


def by_model_of(file) -> int:
    with Journal(file) as looking:
        connection = looking._connection
        return 0 if connection is None else connection.execute("SELECT COUNT(*) FROM answers").fetchone()[0]
