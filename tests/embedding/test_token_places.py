"""Where in a text its tokens are."""

from mergeit_ops.embedding import load_encoder
from mergeit_ops.embedding import token_places as module
from mergeit_ops.embedding.token_places import token_places


def test_places_are_those_of_the_whole_text_without_special_tokens(monkeypatch):
    tokenizer = load_encoder()._model.tokenizer
    texts = ["Hello embeddings", "", "word " * 1_000]
    expected = [[(0, 5), (6, 8), (8, 11), (11, 15), (15, 16)], [], [(5 * n, 5 * n + 4) for n in range(1_000)]]
    assert [list(map(tuple, places)) for places in token_places(tokenizer, texts)] == expected
    monkeypatch.setattr(module, "_CHARACTERS_AT_ONCE", 10)
    assert [list(map(tuple, places)) for places in token_places(tokenizer, texts)] == expected
