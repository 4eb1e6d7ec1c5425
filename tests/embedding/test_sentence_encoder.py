"""The encoder: the packaged default model, any local model, and a sentence when there is none."""

import json
import shutil

import numpy as np
import pytest
from tokenizers import Tokenizer

from mergeit_ops.embedding import DEFAULT_EMBEDDING_MODEL, SentenceEncoder, load_encoder
from mergeit_ops.embedding import sentence_encoder as module
from mergeit_ops.errors import EmbeddingError
from tests.thorough import every
from tests.tiny_models import encoder_folder


def test_the_default_model_comes_from_the_package_and_gives_unit_vectors():
    encoder = load_encoder()
    vectors = encoder.encode(["Name a fruit.", "", "Name a fruit."])
    assert vectors.shape == (3, encoder.width) == (3, 384)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[2])


def test_nearer_in_meaning_is_nearer_in_space():
    fruit, apple, engine = load_encoder().encode(["Name a fruit.", "Tell me a kind of fruit.", "Repair the engine."])
    assert fruit @ apple > 0.7 > 0.4 > fruit @ engine


def test_one_encoder_per_process_serves_every_operator():
    assert load_encoder() is load_encoder(DEFAULT_EMBEDDING_MODEL, "cpu")


@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_half_a_surrogate_pair_counts_as_a_question_mark(dtype):
    encoder = SentenceEncoder(encoder_folder(), dtype=dtype)
    np.testing.assert_array_equal(*encoder.encode(["a \ud83d tree", "a ? tree"]))
    longer, same = ("a tree " * 600 + end for end in ("\ud83d", "?"))
    assert encoder.windows([longer]) == encoder.windows([same]) != {}


def test_no_text_is_an_empty_matrix():
    assert load_encoder().encode([]).shape == (0, 384)


def test_weights_that_are_not_the_hubs_are_not_used(monkeypatch):
    monkeypatch.setattr(module, "_DEFAULT_WEIGHTS_SHA256", "0" * 64)
    assert module._resolve_model(DEFAULT_EMBEDDING_MODEL) == DEFAULT_EMBEDDING_MODEL


def test_a_model_in_a_local_folder():
    vectors = SentenceEncoder(encoder_folder()).encode(["name a fruit", "name a tree"])
    assert vectors.shape == (2, 8)
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)


def test_a_model_that_cannot_be_loaded_is_named_with_advice():
    with pytest.raises(EmbeddingError, match=r"'no/such-model' could not be loaded.*path of a local folder"):
        SentenceEncoder("no/such-model")


TEXTS = [
    f"Name a fruit that grows in country number {n}, and say {'very ' * (n % 40)}much about it." for n in range(120)
]


def test_bfloat16_gives_what_float32_gives_to_four_digits():
    exact, fast = (load_encoder(dtype=dtype).encode(TEXTS[::5]) for dtype in ("float32", "bfloat16"))
    cosines = (exact * fast).sum(axis=1)
    assert cosines.mean() >= 0.9999
    assert cosines.min() >= 0.999
    np.testing.assert_allclose(np.linalg.norm(fast, axis=1), 1, atol=1e-5)


def test_float32_is_what_sentence_transformers_gives():
    encoder = load_encoder(dtype="float32")
    expected = encoder._model.encode(TEXTS, normalize_embeddings=True)
    np.testing.assert_allclose(encoder.encode(TEXTS), expected, atol=1e-5)


@pytest.mark.parametrize("batch_size", every(3, [7, 1, None]))
def test_vectors_stay_with_their_texts_whatever_the_batches(batch_size):
    encoder = load_encoder(dtype="float32")
    alone = np.concatenate([encoder.encode([text]) for text in TEXTS[:20]])
    np.testing.assert_allclose(encoder.encode(TEXTS, batch_size)[:20], alone, atol=1e-5)


def test_the_same_texts_give_the_same_bits():
    encoder = load_encoder()
    np.testing.assert_array_equal(encoder.encode(TEXTS), encoder.encode(TEXTS))


def test_a_model_without_a_hugging_face_tokenizer(tmp_path):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    words = {word: number for number, word in enumerate(["[UNK]", "name", "a", "fruit", "tree"])}
    tokenizer = Tokenizer(WordLevel(words, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Whitespace()
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=8)]).save(str(tmp_path))
    vectors = SentenceEncoder(str(tmp_path)).encode(["name a fruit", "name a tree", "name a fruit"])
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[2])
    assert (vectors[0] != vectors[1]).any()


def test_windows_of_a_text_are_its_tokens_in_order():
    encoder = load_encoder()
    text = " ".join(f"word{n}" for n in range(200))  # two tokens or three each, and a window holds 254
    (found,) = encoder.windows(["short", text]).items()
    row, windows = found
    assert row == 1
    assert [part.tokens for part in windows[:-1]] == [254] * (len(windows) - 1)
    assert windows[0].text == text
    behind = "".join(part.text.replace(" ", "") for part in windows[1:])
    assert text.replace(" ", "").endswith(behind)
    # The first window ends where the second begins.
    tokens = encoder._model.tokenizer(text, add_special_tokens=False)["input_ids"]
    decoded = encoder._model.tokenizer.decode(tokens[254:]).replace(" ", "")
    assert decoded.replace("##", "") == behind


def test_a_text_that_just_fits_has_no_windows():
    encoder = load_encoder()
    assert encoder.windows(["word " * 254, "word " * 255]).keys() == {1}


def test_an_e5_model_has_its_prompt_before_each_text_even_if_its_folder_does_not_say_so(tmp_path, lines):
    plain = SentenceEncoder(encoder_folder())
    folder = shutil.copytree(encoder_folder(), tmp_path / "multilingual-e5-small")
    encoder = SentenceEncoder(str(folder))
    assert sum("'query: '" in line for line in lines) == 1
    np.testing.assert_array_equal(encoder.encode(["a fruit"]), plain.encode(["query: a fruit"]))
    assert not np.array_equal(encoder.encode(["a fruit"]), plain.encode(["a fruit"]))
    # A window holds the prompt's tokens, too: "query" and ":".
    assert [len(encoder.windows(["a " * n])) for n in (508, 509)] == [0, 1]


def test_a_prompt_that_the_folder_names_is_kept(tmp_path, lines):
    folder = shutil.copytree(encoder_folder(), tmp_path / "e5-small")
    config = folder / "config_sentence_transformers.json"
    saved = json.loads(config.read_text(encoding="utf-8"))
    config.write_text(json.dumps(saved | {"prompts": {"own": "tree "}, "default_prompt_name": "own"}), encoding="utf-8")
    expected = SentenceEncoder(encoder_folder()).encode(["tree a fruit"])
    np.testing.assert_array_equal(SentenceEncoder(str(folder)).encode(["a fruit"]), expected)
    assert not any("wants" in line for line in lines)


def test_a_token_alone_has_the_vector_of_a_text_of_that_word():
    """But for rounding, because it is not padded to the length of other texts."""
    encoder = load_encoder()
    vocabulary = encoder._model.tokenizer.get_vocab()
    words = ["cat", "river", "the", "1990"]
    found = encoder.tokens_alone(np.array([vocabulary[word] for word in words]))
    assert (found * encoder.encode(words)).sum(axis=1) == pytest.approx(1, abs=1e-3)
    alone = encoder.tokens_alone(np.array([vocabulary["cat"]]))
    np.testing.assert_array_equal(alone, found[:1])


def test_the_tokenizer_can_be_made_anew_of_its_text():
    encoder = load_encoder()
    made = Tokenizer.from_str(encoder.tokenizer)
    text = "How do cats see?"
    assert made.encode(text).ids == encoder._model.tokenizer(text)["input_ids"]
