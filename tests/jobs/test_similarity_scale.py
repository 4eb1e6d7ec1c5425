"""The threshold of the default model on the scale of the vectors at hand."""

from itertools import product

import numpy as np
import pytest

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, ROW_ID
from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.equal_strictness import EqualStrictness
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.dataset.topics import EMBEDDING_MODEL, flat_types
from mergeit_ops.embedding import DEFAULT_EMBEDDING_MODEL, load_encoder
from mergeit_ops.embedding.similarity_scales import store_scale
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs import similarity_scale
from mergeit_ops.jobs.local_rows import LocalRows
from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader
from mergeit_ops.jobs.similarity_scale import LEAST_TEXTS, translated_threshold, with_model_of_vectors
from tests.core.merging.test_equal_strictness import lifted
from tests.recipe_runs import make_dataset

THINGS = (
    "a river, a poem, a bridge, a loan, a recipe for soup, a chess opening, a planet, a neuron, a treaty, a violin, "
    "a glacier, a compiler, a vaccine, a marathon, a garden, a battery, a court case, a novel, a volcano, a tax, "
    "a beehive, a telescope, a strike, a mosaic, a hurricane, a sonnet, a passport, a harvest, a robot, a castle, "
    "a budget, a sculpture, a wetland, a satellite, a strategy game, a lighthouse, a mortgage, a fossil, a ballet, "
    "a database, a comet, a merger of two firms"
)
TASKS = (
    "Describe, Explain the history of, Write a joke about, List five facts about, Compare two kinds of, "
    "Name the parts of, Translate into French the word for, Say what is wrong with, Plan a lesson on, "
    "Draw up a quiz on, "
    "Advise a beginner on, Argue against, Summarize an article on, Write a headline on, Invent a name for, "
    "Estimate the price of, Rank ten examples of, Define, Criticize a film about, Write a letter about, "
    "Find a metaphor for, Suggest a gift related to, Say who invented, Describe the smell of, Plan a trip to see, "
    "Write code that models, Explain to a child, Write a haiku about, Give three uses of, Tell the risks of, "
    "Sort by size kinds of, Tell a story of, Give the opposite of, Recommend a book on, Write a speech on, "
    "Correct a false belief about, Make a table on, Ask three questions on, Count the syllables in, Paint in words, "
    "Design a logo for, Interview an expert on, Write a law on, Sell, Repair, Measure, Photograph, Protect"
)
TEXTS = [f"{task} {thing}." for task, thing in product(TASKS.split(", "), THINGS.split(", "))]
LIFT = 0.7


@pytest.fixture(scope="module")
def vectors():
    assert len(set(TEXTS)) >= LEAST_TEXTS
    return load_encoder().encode(TEXTS)


@pytest.fixture(autouse=True)
def cache(tmp_path, monkeypatch):
    monkeypatch.setenv("MERGEIT_CACHE_DIR", str(tmp_path / "cache"))
    return tmp_path / "cache"


@pytest.fixture
def few_texts(monkeypatch):
    """The default model embeds a sample of the rows each time."""
    monkeypatch.setattr(similarity_scale, "_MOST_TEXTS", 800)
    monkeypatch.setattr(similarity_scale, "LEAST_TEXTS", 800)


def topics(texts, vectors, size=300, **noted):
    rows = []
    for number, start in enumerate(range(0, len(texts), size)):
        part = texts[start : start + size]
        row = {
            "instruction": part,
            "output": ["x"] * len(part),
            EMBEDDING: encode_vectors(vectors[start : start + size]),
        }
        rows.append(row | {BATCH_META: {"topic_id": number, "batch_size": len(part), **noted}})
    return LocalRows(make_dataset(rows))


def reader(model):
    return SampleReader("merger", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings(model))


def test_a_threshold_is_as_strict_for_a_model_whose_cosines_are_all_high(vectors, cache, lines):
    """The other model's cosines are .7 + .3 times those of the default model, so .55 is as strict as .865 of them."""
    rows = topics(TEXTS, lifted(vectors, LIFT))
    found = translated_threshold(rows, reader("owner/high"), 0.55)
    assert found.value == pytest.approx(LIFT + (1 - LIFT) * 0.55, abs=0.003)
    details = found.details["similarity_threshold"]
    assert (details["model"], details["given"], details["used"]) == ("owner/high", 0.55, found.value)
    assert details["source"] == "these rows"
    (line,) = [line for line in lines if "is as strict" in line]
    assert "similarity_threshold 0.55" in line
    assert f"owner/high {found.value:.4f}" in line

    # Whatever rows come later: the scale of a model is found once.
    later = translated_threshold(topics(TEXTS[:10], lifted(vectors[:10], 0.2)), reader("owner/high"), 0.55)
    assert later.value == pytest.approx(found.value, abs=1e-6)
    assert later.details["similarity_threshold"]["source"] == "an earlier run"


def test_neither_the_order_of_rows_nor_a_cache_that_cannot_be_written_changes_the_result(
    vectors, cache, lines, few_texts
):
    cache.write_text("a file where the folder should be", encoding="utf-8")
    order = np.random.default_rng(0).permutation(len(TEXTS))
    shuffled = topics([TEXTS[row] for row in order], lifted(vectors[order], LIFT), size=117)
    found = translated_threshold(shuffled, reader("owner/high"), 0.55)
    assert found.value == pytest.approx(LIFT + (1 - LIFT) * 0.55, abs=0.003)
    assert any("could not be stored" in line for line in lines)


def test_the_default_model_needs_no_translation(cache):
    found = translated_threshold(
        topics(["a"], np.ones((1, 1), dtype=np.float32)), reader(DEFAULT_EMBEDDING_MODEL), 0.55
    )
    assert (found.value, found.details) == (0.55, {})
    assert not cache.exists()


def test_few_rows_cannot_tell(vectors):
    with pytest.raises(
        RecipeError, match=r"merger: similarity_threshold 0\.55 .* owner/few.*2,000 different .* have 50\. "
    ):
        translated_threshold(
            topics(TEXTS[:50] * 60, lifted(vectors[:50], LIFT).repeat(60, 0)), reader("owner/few"), 0.55
        )


def test_a_model_that_knows_nothing_is_refused(vectors, few_texts):
    random = np.random.default_rng(0).normal(size=vectors.shape).astype(np.float32)
    random /= np.linalg.norm(random, axis=1, keepdims=True)
    with pytest.raises(RecipeError, match=r"hardly ever find the same pairs .*kappa .*similarity_threshold_scale: raw"):
        translated_threshold(topics(TEXTS, random), reader("owner/random"), 0.55)


def test_a_threshold_above_nearly_all_pairs_is_refused(cache):
    store_scale(
        cache / "similarity_scales", "owner/a", EqualStrictness((0.001, 0.1), (0.8, 0.4), (0.9, 0.8), (0.5, 0.5))
    )
    rows = topics(["a"], np.ones((1, 1), dtype=np.float32))
    assert translated_threshold(rows, reader("owner/a"), 0.6).value == pytest.approx(0.85)
    with pytest.raises(RecipeError, match=r"fewer than 30 pairs lie above 0\.9 .*\(an earlier run\)"):
        translated_threshold(rows, reader("owner/a"), 0.9)


ONE = np.ones((1, 1), dtype=np.float32)
FITTED = "static-0123456789abcdef"


@pytest.mark.parametrize(
    ("noted", "named", "expected"),
    [
        (FITTED, "static", FITTED),
        (FITTED, DEFAULT_EMBEDDING_MODEL, FITTED),
        ("owner/a", DEFAULT_EMBEDDING_MODEL, "owner/a"),
        ("owner/a", "owner/a", "owner/a"),
        (DEFAULT_EMBEDDING_MODEL, "all-MiniLM-L6-v2", DEFAULT_EMBEDDING_MODEL),
        (None, "owner/b", "owner/b"),
        (None, DEFAULT_EMBEDDING_MODEL, None),
    ],
)
def test_the_model_of_the_vectors_is_the_groupers_or_the_one_that_is_named(noted, named, expected):
    rows = topics(["a"], ONE, **({} if noted is None else {EMBEDDING_MODEL: noted}))
    found = with_model_of_vectors(rows, reader(named), flat_types(rows.types))
    assert (found and found.encoder.model) == expected


def test_topics_without_vectors_are_embedded_with_the_model_that_is_named():
    rows = LocalRows(make_dataset([{"instruction": ["a", "b"], "output": ["x", "y"]}]))
    assert with_model_of_vectors(rows, reader("owner/a"), flat_types(rows.types)) == reader("owner/a")


def test_two_models_in_one_recipe_are_refused():
    rows = topics(["a"], ONE, **{EMBEDDING_MODEL: "owner/a"})
    with pytest.raises(RecipeError, match=r"merger: embedding_model is 'owner/b', but .* with 'owner/a'"):
        with_model_of_vectors(rows, reader("owner/b"), flat_types(rows.types))


@pytest.mark.parametrize(
    ("noted", "expected"),
    [({}, "made the vectors of these topics is unknown"), ({EMBEDDING_MODEL: "owner/a"}, "'owner/a'")],
)
def test_vectors_of_nobody_knows_which_fitted_model_are_refused(noted, expected):
    rows = topics(["a"], ONE, **noted)
    with pytest.raises(RecipeError, match=f"merger: embedding_model is .*static.*{expected}"):
        with_model_of_vectors(rows, reader("static"), flat_types(rows.types))


def test_static_token_vectors_are_not_fitted_to_topics():
    rows = LocalRows(make_dataset([{"instruction": ["a", "b"], "output": ["x", "y"]}]))
    with pytest.raises(RecipeError, match=r"merger: .*static.*put sentence_embedding_mapper .* before the grouper"):
        with_model_of_vectors(rows, reader("static"), flat_types(rows.types))


def test_the_sample_of_a_fitted_model_is_apart_from_the_rows_that_it_was_fitted_to(vectors, few_texts):
    """On those with the lowest ids it agrees with the default model, on others its cosines are higher."""
    mixed = np.concatenate([np.pad(vectors[:1_000], ((0, 0), (0, 1))), lifted(vectors[1_000:], LIFT)])
    rows = topics(TEXTS, mixed)
    ids = [f"{number:05d}" for number in range(len(TEXTS))]
    table = [
        row | {ROW_ID: ids[300 * number : 300 * number + len(row["instruction"])]}
        for number, row in enumerate(rows.dataset.to_list())
    ]
    numbered = LocalRows(make_dataset(table))
    assert translated_threshold(numbered, reader("owner/b"), 0.55).value == pytest.approx(0.55, abs=1e-3)
    found = translated_threshold(numbered, reader(FITTED), 0.55).value
    assert found == pytest.approx(LIFT + (1 - LIFT) * 0.55, abs=0.003)
