"""Scoring the rows of a table, each alone."""

import pyarrow as pa
import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.gate.comparison import Bounds
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.dataset.stats import stats_of
from mergeit_ops.dataset.tables import json_array
from mergeit_ops.errors import ScorerError
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.scoring import ScoreJob, stat_entries, stat_types
from tests.user_scorers import ByLength, WithReverseIfd

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("none"))


def table(*outputs, stats=None):
    columns = {"instruction": ["q"] * len(outputs), "output": pa.array(outputs, pa.string())}
    return pa.table(columns | ({} if stats is None else {STATS: json_array(stats)}))


def job(scorer=None, stats=("length",), identity="me"):
    return ScoreJob(READER, scorer or ByLength(), stats, identity, Bounds(None, None))


def test_scores_stand_beside_the_stats_that_rows_bring():
    scored = job().run(table("one", " ", "three", stats=[{"own": 1}, {}, {}]))
    found = stats_of(scored.table)
    assert [row.get("length") for row in found] == [3, None, 5]
    assert [row["length_status"] for row in found] == ["ok", "empty_response", "ok"]
    assert found[0]["own"] == 1
    assert scored.figures == {"unscored": {"empty_response": 1}, "reused": 0}
    assert scored.details([True] * 3) == {}


def test_a_score_that_the_same_made_of_the_same_text_is_taken():
    first = stats_of(job().run(table("one", "two")).table)
    changed = [row | {"length": 100.0} for row in first]
    again = job().run(table("one", "other", stats=changed))
    assert [row["length"] for row in stats_of(again.table)] == [100, 5]
    assert again.figures["reused"] == 1
    other = job(identity="another").run(table("one", "two", stats=changed))
    assert other.figures["reused"] == 0


def test_without_an_identity_nothing_is_marked_and_nothing_taken():
    first = stats_of(job(identity=None).run(table("one")).table)
    assert set(first[0]) == {"length", "length_status"}
    assert job(identity=None).run(table("one", stats=first)).figures["reused"] == 0


def test_every_measure_has_its_stat():
    found = job(WithReverseIfd(), ("digit", "reverse")).run(table("7 yes!"))
    (row,) = stats_of(found.table)
    assert (row["digit"], row["reverse"]) == (7.0, 1.5)


def test_no_rows_have_no_scores():
    scored = job().run(table())
    assert (scored.table.num_rows, STATS in scored.table.column_names) == (0, True)
    assert scored.figures == {"unscored": {}, "reused": 0}


def test_a_scorer_that_fails_is_named_with_its_operator():
    class Raising:
        def score(self, samples):
            raise KeyError("boom")

    with pytest.raises(ScorerError, match="op: the scorer Raising failed"):
        job(Raising()).run(table("one"))


def test_entries_and_types_have_the_same_keys():
    assert set(stat_entries(("a",), (Score(1.0),), "mark")) == set(stat_types(("a",)))
    assert stat_entries(("a",), (Score.missing("why"),), None) == {"a": None, "a_status": "why"}
