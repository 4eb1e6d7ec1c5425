"""What every encoder of a packaged model promises."""

import numpy as np
import pytest

from mergeit_ops.embedding import load_encoder
from mergeit_ops.embedding.encoder import Encoder
from mergeit_ops.embedding.windows import embed_texts

TRANSLATIONS = {
    "en": ["Give me a simple recipe for vegetable soup.", "Why do ships float although they are heavy?"],
    "de": ["Gib mir ein einfaches Rezept für Gemüsesuppe.", "Warum schwimmen Schiffe, obwohl sie schwer sind?"],
    "ja": ["野菜スープの簡単なレシピを教えてください。", "船は重いのに、なぜ浮くのですか。"],
    "ar": ["أعطني وصفة بسيطة لحساء الخضار.", "لماذا تطفو السفن مع أنها ثقيلة؟"],
}
SHORT = [*(text for texts in TRANSLATIONS.values() for text in texts), "", "x", "a\0b", "\ud800", "one " * 90]
LONG = ["soup ship " * 400, "野菜" * 700]


def encoder_or_skip(model: str, module: str) -> Encoder:
    pytest.importorskip(module, reason="the extra multilingual is not installed")
    return load_encoder(model)


def check_vectors(encoder: Encoder, width: int) -> None:
    texts = [*SHORT, *LONG]
    vectors = encoder.encode([*texts, texts[0]])
    assert vectors.shape == (len(texts) + 1, encoder.width) == (len(texts) + 1, width)
    assert vectors.dtype == np.float32
    np.testing.assert_allclose(np.linalg.norm(vectors, axis=1), 1, atol=1e-5)
    np.testing.assert_array_equal(vectors[0], vectors[-1])
    assert encoder.encode([]).shape == (0, width)
    assert not np.allclose(*encoder.encode(["a\0b", "a"]))


def check_same_bits(encoder: Encoder) -> None:
    """In any batch, order and number of threads."""
    import torch

    texts = [*SHORT, LONG[1]]
    together = encoder.encode(texts)
    np.testing.assert_array_equal(together, np.concatenate([encoder.encode([text]) for text in texts]))
    np.testing.assert_array_equal(together, encoder.encode(texts[::-1], 1)[::-1])
    threads = torch.get_num_threads()
    try:
        torch.set_num_threads(3 - min(threads, 2))
        np.testing.assert_array_equal(together, encoder.encode(texts))
    finally:
        torch.set_num_threads(threads)


def check_translations(encoder: Encoder) -> None:
    english = encoder.encode(TRANSLATIONS["en"])
    for language in TRANSLATIONS:
        cosines = english @ encoder.encode(TRANSLATIONS[language]).T
        assert cosines.argmax(axis=1).tolist() == [0, 1], language


def check_windows(encoder: Encoder, window: int) -> None:
    found = encoder.windows([*SHORT, *LONG])
    assert sorted(found) == [len(SHORT), len(SHORT) + 1]
    for row, windows in found.items():
        text = LONG[row - len(SHORT)]
        assert all(0 < part.tokens <= window for part in windows)
        assert "".join(part.text for part in windows).replace(" ", "") == text.replace(" ", "")
    first = embed_texts(encoder, [*SHORT, *LONG], None, "first").vectors
    mean = embed_texts(encoder, [*SHORT, *LONG], None, "mean").vectors
    np.testing.assert_array_equal(first[: len(SHORT)], mean[: len(SHORT)])
    # What a window does not reach does not count, and with the mean it does.
    np.testing.assert_array_equal(encoder.encode([LONG[0] + "engine " * 300]), first[[len(SHORT)]])
    other = embed_texts(encoder, [LONG[0] + "engine " * 300], None, "mean").vectors[0]
    assert other @ mean[len(SHORT)] < 0.999
