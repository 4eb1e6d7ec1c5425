"""The quality gate over a table."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest
from datasets import Features

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.gate.comparison import Bounds
from mergeit_ops.core.gate.rule import GateRule
from mergeit_ops.core.vectors import decode_vectors
from mergeit_ops.dataset.stats import GATE_STATS, stats_of
from mergeit_ops.dataset.tables import json_array, python_rows
from mergeit_ops.errors import EmbeddingError, ScorerError
from mergeit_ops.jobs.gating import GateJob
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.ops.gated import A, B, merged, sample
from tests.tiny_models import encoder_folder
from tests.user_scorers import ByFirstDigit, WithReverseIfd

READER = SampleReader("gate", resolve_format("alpaca", ["instruction", "input", "output"]), EncoderSettings("none"))


def job(scorer=None, score_all=False, **rule):
    return GateJob(READER, scorer or ByFirstDigit(), GateRule(**rule), Bounds(None, None), score_all)


def table_of(*rows, **columns):
    texts = {name: [row[name] for row in rows] for name in ("instruction", "input", "output")}
    return pa.table(texts | {META: json_array([row.get(META) or {} for row in rows])} | columns)


def gated(*rows, **parameters):
    scored = job(**parameters).run(table_of(*rows))
    return python_rows(scored.table), scored


def test_a_merge_as_good_as_its_parents_stays():
    rows, scored = gated(merged("3 ab", [A, B]))
    assert [row["output"] for row in rows] == ["3 ab"]
    assert stats_of(scored.table)[0]["merge_quality_after"] == 3
    assert scored.figures["accepted"] == 1
    assert set(scored.details([True])["accepted"]) == {"merge"}


def test_a_worse_one_gives_its_parents_back():
    rows, scored = gated(merged("1 ab", [A, B]))
    assert [row["output"] for row in rows] == ["2 a", "4 b"]
    assert [row[META]["merge_rejected"] for row in rows] == ["score", "score"]
    assert scored.figures | {"unscored": 0} == {"restored_rows": 2, "rejected": {"score": 1}, "unscored": 0}


def test_rows_that_are_no_merges_are_scored_only_if_asked():
    for score_all, value in ((False, None), (True, 5.0)):
        _, scored = gated(sample("q", "5 x"), score_all=score_all)
        assert stats_of(scored.table)[0].get("quality_score") == value
        assert set(GATE_STATS) >= set(stats_of(scored.table)[0])


def test_a_row_without_a_score_is_counted():
    _, scored = gated(merged("none", [A, B]), sample("q", "odd"), score_all=True)
    assert scored.figures["unscored"] == 2
    assert scored.figures["rejected"] == {"no_score": 1}


def test_reverse_ifd_is_measured_only_where_the_rule_asks_for_it():
    rows, _ = gated(merged("3 ab!", [A, B]), scorer=WithReverseIfd(), max_reverse_ifd=1.0)
    assert [row[META]["merge_rejected"] for row in rows] == ["reverse_ifd", "reverse_ifd"]
    assert "merge_reverse_ifd" in job(WithReverseIfd(), max_reverse_ifd=1.0).types
    assert set(job().types) == set(GATE_STATS)


class Unasked:
    def score(self, samples):
        raise AssertionError("rows were scored, which may cost money")


@pytest.mark.parametrize("output", ["3 ab", "1 ab"])
def test_embeddings_brought_as_lists_become_text_like_those_of_restored_parents(output):
    gate = replace(job(), reader=replace(READER, encoder=EncoderSettings(encoder_folder())))
    table = table_of(merged(output, [A, B]), sample("q", "5"), **{EMBEDDING: np.eye(2, 8).tolist()})
    found = gate.run(table).table
    features = gate.features(Features.from_arrow_schema(table.schema))
    assert found.schema.field(EMBEDDING).type == features.arrow_schema.field(EMBEDDING).type == pa.string()
    assert decode_vectors(found.column(EMBEDDING).to_pylist()).shape == (found.num_rows, 8)


@pytest.mark.parametrize("vector", [[1.0, 0.0], [3.0] * 8, None])
def test_embeddings_that_do_not_fit_are_refused_before_a_row_is_scored(vector):
    gate = replace(job(Unasked()), reader=replace(READER, encoder=EncoderSettings(encoder_folder())))
    with pytest.raises(EmbeddingError, match=r"gate: the column 'mergeit_embedding'.*remove the column"):
        gate.run(table_of(merged("3 ab", [A, B]), **{EMBEDDING: pa.array([vector], pa.list_(pa.float64()))}))


def test_an_empty_table_stays_empty():
    rows, scored = gated()
    assert rows == []
    assert STATS in scored.table.column_names
    assert scored.details([]) == {}


def test_a_scorer_that_fails_is_named_with_its_operator():
    class Raising:
        def score(self, samples):
            raise KeyError("boom")

    with pytest.raises(ScorerError, match="gate: the scorer Raising failed"):
        gated(merged("3 ab", [A, B]), scorer=Raising())
