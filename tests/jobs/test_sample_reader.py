"""Reading the samples of a table: their texts and embeddings."""

from dataclasses import replace

import numpy as np
import pyarrow as pa
import pytest

from mergeit_ops.core.columns import EMBEDDING, META
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.rows.sources import SOURCE
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.tables import READ_ROWS, json_array
from mergeit_ops.errors import DatasetError, EmbeddingError
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from tests.embedding.static.toy import model
from tests.recipe_runs import make_dataset
from tests.tiny_models import encoder_folder

READER = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings("no such model"))
VECTORS = np.array([(1, 0), (0, 1), (0.6, 0.8)], dtype=np.float32)


def table(instructions, vectors=VECTORS):
    columns = {"instruction": instructions, "output": ["x"] * len(instructions)}
    return pa.table(columns | ({} if vectors is None else {EMBEDDING: encode_vectors(vectors)}))


def test_texts_are_read_without_any_model():
    assert READER.texts(table(["a", None, " "])).tolist() == [True, False, False]
    assert [reading.sample.query for reading in READER.readings(table(["a", "b", "ü"]))] == ["a", "b", "ü"]
    assert READER.texts(table([], VECTORS[:0])).tolist() == []


def test_samples_are_read_as_a_scorer_wants_them():
    rows = pa.table({"instruction": ["a", "b"], "output": ["<think>Hm.</think>So.", "So."]})
    assert [sample.output for sample in READER.samples(rows)] == ["So.", "So."]
    assert [sample.output for sample in READER.samples(rows, "response")] == ["<think>Hm.</think>So.", "So."]
    assert [len(sample.exchanges) for sample in READER.samples(rows, "parts")] == [1, 0]


def test_the_text_embedded_has_no_trace():
    """It is the question, in every layout; what the assistant has thought before is none."""
    turns = [
        {"role": "user", "content": "a", "thinking": None},
        {"role": "assistant", "content": "<think>Hm.</think>So.", "thinking": None},
        {"role": "user", "content": "b", "thinking": None},
        {"role": "assistant", "content": "So.", "thinking": "Hm."},
    ]
    reader = SampleReader("op", resolve_format("messages", ["messages"]), EncoderSettings("none"))
    (reading,) = reader.readings(pa.table({"messages": [turns]}))
    assert reading.sample.query == "a\nb"


def test_vectors_that_rows_bring_are_taken():
    np.testing.assert_array_equal(READER.vectors(table(["a", "b", "c"])), VECTORS)
    zero = VECTORS.copy()
    zero[1] = 0
    assert READER.readable(table(["", "b", "c"], zero)).tolist() == [True, False, True]
    assert READER.readable(table(["", "b", "c"], None)).tolist() == [False, True, True]


@pytest.mark.parametrize("embeddings", [["no base64!"], [None], ["AAAA"]])
def test_embeddings_that_cannot_be_used_are_named_with_the_cure(embeddings):
    rows = pa.table({"instruction": ["a"], "output": ["x"], EMBEDDING: embeddings})
    with pytest.raises(EmbeddingError, match=rf"op: the column '{EMBEDDING}' cannot be used.*remove the column"):
        READER.vectors(rows)


def test_a_dataset_has_vectors_of_one_width():
    (narrow,), (wide,) = encode_vectors(VECTORS[:1]), encode_vectors(np.eye(3, dtype=np.float32)[:1])
    dataset = make_dataset([{EMBEDDING: narrow}] * READ_ROWS + [{EMBEDDING: wide}])
    with pytest.raises(EmbeddingError, match=rf"mixes embeddings of widths 2 and 3 \(row {READ_ROWS}\)"):
        list(READER.iter_vectors(dataset))
    with pytest.raises(EmbeddingError, match=r"mixes embeddings of widths \[2, 3\]"):
        READER.check_widths([2, 3, 2])
    READER.check_widths([2, 2])
    READER.check_widths([])


def test_rows_without_a_text_get_the_zero_vector_whatever_they_bring(lines):
    rows = [
        {"instruction": text, "output": "x", EMBEDDING: vector}
        for text, vector in zip(["a", "", "c"], encode_vectors(VECTORS), strict=True)
    ]
    vectors, found = READER.dataset_vectors(make_dataset(rows))
    assert vectors.tolist()[1] == [0, 0]
    assert (found.rows, found.unreadable, found.misleading) == (3, 1, 1)
    assert "op: 1 of 3 rows" in lines[0]


def test_a_dataset_most_of_which_cannot_be_read_is_refused_before_it_is_embedded():
    with pytest.raises(DatasetError, match="op: 2 of 3 rows"):
        READER.dataset_vectors(make_dataset([{"instruction": text, "output": "x"} for text in ("", "a", " ")]))


def test_no_texts_need_no_model():
    assert EncoderSettings("no such model").embed([]).shape == (0, 0)


def test_the_text_that_a_sample_was_made_of_is_read_where_somebody_asks():
    rows = table(["a", "b", "c"], None).append_column(META, json_array([{SOURCE: "the text"}, {}, {SOURCE: None}]))
    assert [sample.source for sample in READER.samples(rows)] == ["", "", ""]
    asking = replace(READER, reads_source=True)
    assert [sample.source for sample in asking.samples(rows)] == ["the text", "", ""]
    assert asking.samples(table(["a"], None)) == READER.samples(table(["a"], None))


CHAT = resolve_format("messages", ["messages"])
TURNS = [("user", "name a fruit"), ("assistant", "tree"), ("user", "a tree " * 600), ("assistant", "a")]


def chats(*conversations):
    return [{"messages": [{"role": role, "content": text} for role, text in turns]} for turns in conversations]


def tiny_reader(window="first", text="user"):
    return SampleReader("op", CHAT, EncoderSettings(encoder_folder(), window=window), embedding_text=text)


def test_the_log_says_how_many_rows_are_longer_than_the_window(lines):
    dataset = make_dataset(chats(TURNS[:2], TURNS, TURNS[2:]))
    first, _ = tiny_reader("first").dataset_vectors(dataset)
    mean, _ = tiny_reader("mean").dataset_vectors(dataset)
    assert "op: 2 of 3 rows are longer than the window of the embedding model; the first window" in lines[0]
    assert "the mean of up to 8 windows" in lines[1]
    np.testing.assert_array_equal(first[0], mean[0])
    assert not (first[1:] == mean[1:]).all(axis=1).any()
    tiny_reader("mean").dataset_vectors(make_dataset(chats(TURNS[:2])))
    assert len(lines) == 2


def test_the_turns_that_are_embedded():
    def vector(text, turns):
        return tiny_reader(text=text).dataset_vectors(make_dataset(chats(turns)))[0][0]

    turns = [*TURNS[:2], ("user", "name a tree"), ("assistant", "a fruit")]
    expected = {
        "user": "name a fruit\nname a tree",
        "all": "name a fruit\ntree\nname a tree\na fruit",
        "last": "name a tree",
    }
    for choice, text in expected.items():
        np.testing.assert_array_equal(vector(choice, turns), tiny_reader().encoder.embed([text])[0])


def test_merged_rows_are_embedded_as_other_rows():
    sample = CHAT.read(chats(TURNS)[0]).sample
    for window, text in (("first", "last"), ("mean", "all")):
        reader = tiny_reader(window, text)
        expected = reader.dataset_vectors(make_dataset(chats(TURNS)))[0]
        np.testing.assert_array_equal(reader.embed([sample]), expected)


def test_a_model_of_token_vectors_embeds_table_by_table_what_it_embeds_at_once(lines):
    """No more than a table of texts is held, and unreadable rows are counted as with other models."""
    rng = np.random.default_rng(0)
    texts = [" ".join(rng.choice(list("abcd"), 4)) for _ in range(READ_ROWS + 50)]
    texts[3], texts[READ_ROWS + 1] = " ", "a " * 2_000
    fitted = model(rng.normal(size=(5, 8)))
    settings = EncoderSettings(fitted.name, fitted=fitted)
    reader = replace(READER, encoder=settings)
    vectors, found = reader.dataset_vectors(make_dataset([{"instruction": text, "output": "x"} for text in texts]))
    np.testing.assert_array_equal(vectors, settings.embed(texts))
    assert (found.rows, found.unreadable) == (len(texts), 1)
    assert any(f"1 of {len(texts):,} rows is longer" in line for line in lines)
    assert "array" not in repr(settings)
