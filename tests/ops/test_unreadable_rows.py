"""Rows whose text cannot be read: never chosen among, counted, and refused where they are most."""

import json

import numpy as np
import pytest

from mergeit_ops import ops
from mergeit_ops.core.columns import BATCH_META, EMBEDDING, META
from mergeit_ops.core.vectors import decode_vectors, encode_vectors
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError
from tests.recipe_runs import make_dataset
from tests.thorough import every

QUESTIONS = [
    f"Name {number} fruits that grow on trees in {place}." for number in range(2, 6) for place in ("Asia", "Peru")
]


def chat(question, speaker="user"):
    return [{"role": speaker, "content": question}, {"role": "assistant", "content": "Figs."}]


READABLE = {
    "alpaca": [{"instruction": question, "output": "Figs."} for question in QUESTIONS],
    "query_response": [{"query": question, "response": "Figs."} for question in QUESTIONS],
    "messages": [{"messages": chat(question)} for question in QUESTIONS],
    "json_text": [{"messages": json.dumps(chat(question))} for question in QUESTIONS],
    "prompt_completion": [{"prompt": question, "completion": "Figs."} for question in QUESTIONS],
}
UNREADABLE = {
    "alpaca": [{"instruction": None, "output": "Figs."}, {"instruction": " \n", "output": "Figs."}],
    "query_response": [{"query": None, "response": "Figs."}, {"query": "", "response": "Figs."}],
    "messages": [{"messages": chat("Hi.", "narrator")}, {"messages": []}],
    "json_text": [{"messages": "no JSON"}, {"messages": json.dumps(chat("Hi.", "narrator"))}],
    "prompt_completion": [{"prompt": None, "completion": "Figs."}, {"prompt": "", "completion": "Figs."}],
}
layouts = pytest.mark.parametrize("layout", READABLE)
some_layouts = pytest.mark.parametrize("layout", every(2, READABLE))
SELECTORS = (ops.FacilityLocationSelector, ops.DiversitySelector)


def mixed(layout):
    """Eight readable rows with two unreadable ones among them."""
    first, second = UNREADABLE[layout]
    return [first, *READABLE[layout][:4], second, *READABLE[layout][4:]]


def flat(rows):
    return ops.TopicReverseGrouper().run(rows).to_list()


def without_meta(rows):
    return [{name: value for name, value in row.items() if name != META} for row in rows]


def as_loaded(rows):
    return make_dataset(rows).to_list()


@layouts
def test_they_have_the_zero_vector(layout):
    embedded = ops.SentenceEmbeddingMapper().run(make_dataset(mixed(layout)))
    vectors = decode_vectors(embedded[EMBEDDING])
    assert np.flatnonzero(~vectors.any(axis=1)).tolist() == [0, 5]


@some_layouts
@pytest.mark.parametrize("brings_embeddings", [False, True])
def test_they_are_kept_in_a_topic_of_their_own_and_outside_the_budget(layout, brings_embeddings, lines, tmp_path):
    rows = mixed(layout)
    data = make_dataset(rows)
    if brings_embeddings:
        data = ops.SentenceEmbeddingMapper().run(data)
    topics = ops.TopicClusterGrouper(num_clusters=2, work_dir=str(tmp_path)).run(data)
    assert [row[BATCH_META]["topic_id"] for row in topics] == [0, 1, 2]
    selected = ops.FacilityLocationSelector(select_num=3).run(topics)
    kept = without_meta(flat(selected))
    odd = [as_loaded(rows)[0], as_loaded(rows)[5]]
    assert len(kept) == 5
    assert all(row in kept for row in odd)
    (record,) = read_manifests(tmp_path)
    assert record["figures"]["unreadable"] == 2
    assert any("2 of 10 rows have " in line and "outside the budget and never merged" in line for line in lines)


@some_layouts
@pytest.mark.parametrize("selector", SELECTORS)
@pytest.mark.parametrize("fate", ["keep", "drop"])
def test_a_flat_selection_keeps_or_drops_all_of_them(layout, selector, fate):
    rows = as_loaded(mixed(layout))
    kept = selector(select_num=3, unreadable_rows=fate).run(make_dataset(mixed(layout))).to_list()
    readable = [row for row in kept if row not in (rows[0], rows[5])]
    assert len(readable) == 3
    assert len(kept) == (5 if fate == "keep" else 3)
    # What is chosen does not depend on the unreadable rows.
    alone = selector(select_num=3).run(make_dataset(rows[1:5] + rows[6:])).to_list()
    assert readable == alone


def with_vectors(rows, as_lists=False):
    """Rows that all bring an embedding, whatever their text."""
    vectors = np.eye(len(rows) + 2, dtype=np.float32)[: len(rows)]
    texts = vectors.tolist() if as_lists else encode_vectors(vectors)
    return [row | {EMBEDDING: text} for row, text in zip(rows, texts, strict=True)]


@some_layouts
@pytest.mark.parametrize("as_lists", [False, True])
@pytest.mark.parametrize("fate", ["keep", "drop"])
@pytest.mark.parametrize("grouped", [False, True])
def test_embeddings_that_they_bring_do_not_make_them_readable(layout, as_lists, fate, grouped, lines):
    rows = with_vectors(mixed(layout), as_lists)
    options = {"select_num": 3, "unreadable_rows": fate}
    data = make_dataset(rows)
    if grouped:
        data = ops.TopicClusterGrouper(num_clusters=1, unreadable_rows=fate).run(data)
    kept = ops.FacilityLocationSelector(**options).run(data)
    kept = without_meta(flat(kept) if grouped else kept.to_list())
    odd = [row for row in as_loaded(mixed(layout)) if row in (as_loaded(mixed(layout))[i] for i in (0, 5))]
    contents = [{name: value for name, value in row.items() if name != EMBEDDING} for row in kept]
    assert sum(row in odd for row in contents) == (2 if fate == "keep" else 0)
    assert sum(row not in odd for row in contents) == 3
    assert any("2 of 10 rows have no text that can be read (row 0, " in line for line in lines)


@some_layouts
@pytest.mark.parametrize("operator", [ops.SentenceEmbeddingMapper, ops.TopicClusterGrouper, *SELECTORS])
def test_most_rows_without_a_text_are_refused_whatever_embeddings_they_bring(layout, operator):
    rows = with_vectors([*READABLE[layout][:1], *UNREADABLE[layout]])
    with pytest.raises(DatasetError, match=r"2 of 3 rows have no text that can be read .row 1, .*Known layouts: "):
        operator().run(make_dataset(rows))


def test_rows_without_a_text_and_zero_vectors_are_counted_together(lines):
    rows = with_vectors(mixed("alpaca"))
    rows[3][EMBEDDING] = encode_vectors(np.zeros((1, 12), dtype=np.float32))[0]
    ops.TopicClusterGrouper(num_clusters=1).run(make_dataset(rows))
    assert any("3 of 10 rows have no text" in line and "or a zero vector instead" in line for line in lines)


@layouts
def test_the_grouper_can_drop_them(layout):
    rows = as_loaded(mixed(layout))
    topics = ops.TopicClusterGrouper(num_clusters=2, unreadable_rows="drop").run(make_dataset(mixed(layout)))
    kept = without_meta(flat(topics))
    assert sorted(map(repr, kept)) == sorted(map(repr, rows[1:5] + rows[6:]))
    # The topics of the others are those that they have without the unreadable rows.
    alone = ops.TopicClusterGrouper(num_clusters=2).run(make_dataset(rows[1:5] + rows[6:]))
    assert topics.to_list() == alone.to_list()


@some_layouts
@pytest.mark.parametrize("allocation", ["proportional", "equal", "gain"])
def test_selecting_within_topics_counts_readable_rows_only(layout, allocation):
    topics = ops.TopicClusterGrouper(num_clusters=1).run(make_dataset(mixed(layout)))
    for ratio, number, chosen in ((0.5, None, 4), (None, 2, 2)):
        selector = ops.FacilityLocationSelector(select_ratio=ratio, select_num=number, allocation=allocation)
        assert len(flat(selector.run(topics))) == chosen + 2
        dropping = ops.FacilityLocationSelector(
            select_ratio=ratio, select_num=number, allocation=allocation, unreadable_rows="drop"
        )
        assert len(flat(dropping.run(topics))) == chosen


@some_layouts
@pytest.mark.parametrize(
    "operator",
    [ops.SentenceEmbeddingMapper, ops.TopicClusterGrouper, *SELECTORS],
)
def test_a_dataset_of_which_most_cannot_be_read_is_refused_with_a_sample_value(layout, operator):
    rows = [*READABLE[layout][:1], *UNREADABLE[layout]]
    column = next(iter(rows[0]))
    with pytest.raises(
        DatasetError, match=rf"2 of 3 rows have no text that can be read .row 1, column '{column}': "
    ) as error:
        operator(embedding_model="no model is loaded before").run(make_dataset(rows))
    assert "Known layouts: alpaca (instruction, output)" in str(error.value)


def test_most_vectors_of_zeros_are_refused_too():
    rows = ops.SentenceEmbeddingMapper().run(make_dataset(READABLE["alpaca"])).to_list()
    zeros = "A" * len(rows[0][EMBEDDING])
    with pytest.raises(
        DatasetError, match="8 of 8 rows have a zero vector instead of an embedding; embed the rows again"
    ):
        ops.TopicClusterGrouper().run(make_dataset([row | {EMBEDDING: zeros} for row in rows]))


@layouts
def test_the_merger_keeps_them_as_they_are(layout):
    topics = ops.TopicClusterGrouper(num_clusters=1).run(make_dataset(mixed(layout)))
    merged = ops.LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.0).run(topics).to_list()
    odd = [row for row in merged if row[META]["merge_error"] == "bad_row"]
    rows = as_loaded(mixed(layout))
    assert sorted(map(repr, odd)) == sorted(
        repr(row | {META: m[META], "__dj__stats__": {}}) for row, m in zip((rows[0], rows[5]), odd, strict=True)
    )
    assert sum(row[META]["merge_status"] == "merged" for row in merged) == 4


# Lists of texts in a chat column are taken for the turns of flat rows, so JSON text is left out.
@pytest.mark.parametrize("layout", sorted(READABLE.keys() - {"json_text"}))
def test_topics_of_data_juicers_own_groupers_are_looked_at_too(layout):
    from data_juicer.ops import OPERATORS

    def grouped(rows):
        marked = [row | {"kind": "x"} for row in rows]
        return OPERATORS.modules["key_value_grouper"](group_by_keys=["kind"]).run(make_dataset(marked))

    kept = ops.FacilityLocationSelector(select_num=3).run(grouped(mixed(layout)))
    assert len(flat(kept)) == 5
    with pytest.raises(DatasetError, match="2 of 3 rows have no text that can be read"):
        ops.FacilityLocationSelector().run(grouped([*READABLE[layout][:1], *UNREADABLE[layout]]))
