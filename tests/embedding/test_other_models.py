"""Sentence-transformers models of other kinds: the vectors that the library gives, the same in any batch."""

from __future__ import annotations

import numpy as np
import pytest

from mergeit_ops.embedding import SentenceEncoder
from tests.thorough import every
from tests.tiny_models import GPT2_POSITIONS, gpt2_folder

WORDS = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "query", ":", "name", "a", "fruit", "tree", "that", "grows"]
TEXTS = [
    "name a fruit",
    "",
    *("name a tree that grows " * n for n in range(1, 12)),
    *("a fruit " * n + "that grows" for n in range(1, 30, 3)),
    "unknown " * 300,
    "fruit " * 30,
]


def bert(folder, **tokenizer):
    from transformers import BertConfig, BertModel, BertTokenizerFast

    (folder / "vocab.txt").write_text("\n".join(WORDS), encoding="utf-8")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt"), **tokenizer).save_pretrained(folder / "bert")
    config = BertConfig(
        vocab_size=len(WORDS),
        hidden_size=24,
        num_hidden_layers=2,
        num_attention_heads=3,
        intermediate_size=40,
        max_position_embeddings=64,
        initializer_range=0.3,
    )
    BertModel(config).save_pretrained(folder / "bert")
    return str(folder / "bert")


def sentence_model(folder, kind):
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Dense, Normalize, Pooling, StaticEmbedding, Transformer
    from tokenizers import Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Whitespace

    if kind == "static":
        tokenizer = Tokenizer(WordLevel({word: n for n, word in enumerate(WORDS)}, unk_token="[UNK]"))
        tokenizer.pre_tokenizer = Whitespace()
        return SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=24), Dense(24, 7)], device="cpu")
    if kind.startswith("gpt2"):
        transformer = Transformer(gpt2_folder(), max_seq_length=None if kind == "gpt2" else 50)
        transformer.tokenizer.pad_token = transformer.tokenizer.eos_token
        transformer.tokenizer.padding_side = "left"
        return SentenceTransformer(modules=[transformer, Pooling(32, pooling_mode="lasttoken")], device="cpu")
    limit = {"model_max_length": 10**30} if kind == "no limit" else {}
    transformer = Transformer(bert(folder, **limit), max_seq_length=31 if kind == "window 31" else None)
    mode = kind if kind in ("cls", "max", "weightedmean") else "mean"
    modules = [transformer, Pooling(24, pooling_mode=mode, include_prompt=kind != "prompt left out")]
    if kind == "dense":
        modules += [Dense(24, 12), Normalize()]
    prompts = {"prompts": {"query": "query : "}, "default_prompt_name": "query"} if "prompt" in kind else {}
    return SentenceTransformer(modules=modules, device="cpu", **prompts)


KINDS = ["mean", "cls", "max", "weightedmean", "dense", "no limit", "window 31", "prompt", "prompt left out"]


@pytest.mark.parametrize("dtype", every(2, ["bfloat16", "float32"]))
@pytest.mark.parametrize("kind", [*KINDS, "static", "gpt2", "gpt2 with a window"])
def test_the_vectors_of_the_library_in_any_batch(tmp_path, kind, dtype):
    import torch

    torch.manual_seed(0)
    made = sentence_model(tmp_path, kind)
    made.save(str(tmp_path / "model"))
    # A text without a token has no vector in these.
    texts = [text for text in TEXTS if text or not kind.startswith(("gpt2", "static"))]
    encoder = SentenceEncoder(str(tmp_path / "model"), dtype=dtype)
    found = encoder.encode(texts)
    expected = np.stack([made.encode(text, normalize_embeddings=True) for text in texts])
    np.testing.assert_allclose(found, expected, atol=1e-5 if dtype == "float32" else 0.1)
    np.testing.assert_allclose(np.linalg.norm(found, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(encoder.encode(texts[::-1], 3)[::-1], found)
    for i in range(0, len(texts), 4):
        np.testing.assert_array_equal(encoder.encode([texts[i]])[0], found[i])


def test_a_text_without_a_token(tmp_path):
    sentence_model(tmp_path, "gpt2").save(str(tmp_path / "model"))
    encoder = SentenceEncoder(str(tmp_path / "model"))
    assert GPT2_POSITIONS > 3
    (alone,) = encoder.encode([""])
    company = encoder.encode(["a tree", "", "a fruit"])
    assert np.isfinite(company).all()
    np.testing.assert_array_equal(company[1], alone)
