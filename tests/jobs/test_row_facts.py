"""What a selection needs to know about rows beside their vectors."""

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.errors import DatasetError
from mergeit_ops.jobs.fields import Field
from mergeit_ops.jobs.row_facts import FactReader, RowFacts
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader

TABLE = pa.table(
    {
        "instruction": ["Why?", "Sum up.", None],
        "input": ["", "A text.", None],
        "output": ["So.", "Short and to the point.", ""],
        "score": [1.5, None, float("nan")],
        "picked": [True, False, None],
        "topic": ["x", None, "y"],
        "tags": [["a", "b"], [], None],
    }
)
FIELDS = {"scores": Field("score"), "chosen": Field("picked"), "topics": Field("topic"), "tags": Field("tags")}
KEYS = {need: (f"{need}_key", field.column) for need, field in FIELDS.items()}
READER = SampleReader("op", resolve_format("alpaca", TABLE.column_names), EncoderSettings("none"))


def reader(*needs, tokens_of=None, fields=FIELDS):
    own = {need: field for need, field in fields.items() if need in needs}
    return FactReader(READER, frozenset(needs), own, KEYS, tokens_of)


def test_nothing_is_read_that_nobody_asks_for():
    nothing = reader()
    assert not nothing.has_work
    assert nothing.columns(TABLE.column_names) == []
    assert nothing.read(TABLE) == RowFacts() or nothing.read(TABLE).scores is None
    assert reader("tags").columns(TABLE.column_names) == ["tags"]
    assert reader(tokens_of="row").columns(TABLE.column_names) == ["instruction", "input", "output"]


def test_facts_are_those_of_the_rows():
    facts = reader("scores", "topics", "tags", "texts", tokens_of="response").read(TABLE)
    np.testing.assert_array_equal(facts.scores, [1.5, np.nan, np.nan])
    assert facts.topics == ["x", None, "y"]
    assert [tuple(tags) for tags in facts.tags] == [("a", "b"), (), ()]
    assert facts.texts == ["Why?", "Sum up. A text.", ""]
    assert facts.tokens.tolist() == [
        max(1, estimate_tokens("So.")),
        estimate_tokens("Short and to the point."),
        1,
    ]
    assert facts.topic_numbers.tolist() == [0, -1, 1]


def test_a_trace_counts_among_the_tokens_wherever_it_stands():
    rows = pa.table({"instruction": ["a"], "output": ["So."], "thinking": ["I think about it for a while."]})
    layout = resolve_format("alpaca", rows.column_names)
    own = SampleReader("op", layout, EncoderSettings("none"))
    (tokens,) = FactReader(own, frozenset(), {}, KEYS, "response").read(rows).tokens
    assert tokens == estimate_tokens("<think>\nI think about it for a while.\n</think>\n\nSo.")


def test_the_tokens_of_a_row_are_more_than_those_of_its_response():
    response, row = (reader(tokens_of=what).read(TABLE).tokens for what in ("response", "row"))
    assert (row >= response).all()
    assert row[1] > response[1]
    assert response.min() >= 1


@pytest.mark.parametrize("values", [["yes", "no", ""], [0.5, 1.0, None], [2, 0, 1]])
def test_a_flag_is_true_or_false(values):
    table = TABLE.set_column(TABLE.column_names.index("picked"), "picked", pa.array(values))
    with pytest.raises(DatasetError, match=r"op: .*picked"):
        reader("chosen").read(table)


@pytest.mark.parametrize("values", [["a", "b", None], [1, 2, 3]])
def test_tags_are_lists_of_texts(values):
    table = TABLE.set_column(TABLE.column_names.index("tags"), "tags", pa.array(values))
    with pytest.raises(DatasetError, match=r"op: .*tags"):
        reader("tags").read(table)


def test_parts_are_joined_and_rows_are_picked_out():
    asked = reader("scores", "topics", "tags", "texts", tokens_of="row")
    whole = asked.read(TABLE)
    joined = RowFacts.joined([asked.read(TABLE.slice(0, 1)), asked.read(TABLE.slice(1, 0)), asked.read(TABLE.slice(1))])
    some = np.array([2, 0])
    for facts in (whole, joined):
        picked = facts.of(some)
        assert picked.texts == ["", "Why?"]
        np.testing.assert_array_equal(picked.scores, [np.nan, 1.5])
        assert picked.topic_numbers.tolist() == [0, 1]
        assert picked.chosen is None
    assert RowFacts.joined([]).readable.tolist() == []
