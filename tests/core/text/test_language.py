"""The language of a text, and of texts that belong together."""

from collections import Counter

import pytest

from mergeit_ops.core.text.language import completed, language_of

SENTENCES = {
    "en": "Explain why the leaves of many trees turn red in autumn.",
    "de": "Erkläre, warum sich die Blätter vieler Bäume im Herbst rot färben.",
    "fr": "Explique pourquoi les feuilles de nombreux arbres rougissent en automne.",
    "es": "Explica por qué las hojas de muchos árboles se vuelven rojas en otoño.",
    "pt": "Explique por que as folhas de muitas árvores ficam vermelhas no outono.",
    "ru": "Объясни, почему осенью листья многих деревьев становятся красными.",
    "zh": "请解释为什么许多树木的叶子在秋天会变红。",
    "ja": "多くの木の葉が秋に赤くなる理由を説明してください。",
    "ar": "اشرح لماذا تتحول أوراق كثير من الأشجار إلى اللون الأحمر في الخريف.",
    "hi": "समझाइए कि शरद ऋतु में कई पेड़ों की पत्तियाँ लाल क्यों हो जाती हैं।",
}


@pytest.mark.parametrize("language", SENTENCES)
def test_a_sentence_tells_its_language(language):
    assert language_of(SENTENCES[language]) == language


@pytest.mark.parametrize("text", ["", " \n", "12.", "1 + 1 = 2 🎉", "\ud800", "x = y[0]", "SARS-CoV-2"])
def test_what_is_no_sentence_tells_no_language(text):
    assert language_of(text) is None


def test_the_start_of_a_long_text_tells_its_language():
    assert language_of(SENTENCES["de"] * 100_000) == "de"


def test_the_first_text_that_tells_counts():
    assert language_of("12.", SENTENCES["fr"], SENTENCES["de"]) == "fr"
    assert language_of() is None


def test_an_unknown_language_counts_as_the_most_common_one():
    assert completed(["de", None, "fr", "de"]) == ["de", "de", "fr", "de"]
    # Of two that are equally common, the first by name.
    assert completed(["fr", None, "de"]) == ["fr", "de", "de"]
    assert completed([None, None]) == ["", ""]
    assert completed([]) == []


def test_short_english_requests_are_not_taken_for_another_language(sample_rows):
    found = Counter(language_of(row["instruction"]) for row in sample_rows)
    assert set(found) <= {"en", None}
