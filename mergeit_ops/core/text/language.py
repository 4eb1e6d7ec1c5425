"""In what language a text is written, by py3langid: 4.6 MB, no download, some 20,000 short texts a second."""

from __future__ import annotations

from collections import Counter
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

__all__ = ["LEAST_CONFIDENCE", "completed", "language_of"]

LEAST_CONFIDENCE = 0.6
"""Probability that a language must have. Of 3,000 English instructions of Alpaca, one reaches it for another language:
it asks to translate a French sentence."""

_CHARACTERS_READ = 2_000  # they tell the language


def language_of(*texts: str) -> str | None:
    """Return the language of the first text that tells one, as its ISO 639 code, such as `en`; None if none does.

    Short texts, code, numbers and lists of names often tell none.

    :param texts: any texts.
    """
    for text in texts:
        if text.strip():
            language, confidence = _identifier().classify(text[:_CHARACTERS_READ])
            if confidence >= LEAST_CONFIDENCE:
                return str(language)
    return None


def completed(languages: Sequence[str | None]) -> list[str]:
    """Return the languages of texts that belong together; one that is unknown counts as the most common one.

    :param languages: n codes; None where a language is unknown.
    :return: n codes; all empty if every one is unknown.
    """
    counts = Counter(language for language in languages if language is not None)
    most_common = min(counts, key=lambda language: (-counts[language], language), default="")
    return [most_common if language is None else language for language in languages]


@lru_cache(maxsize=1)
def _identifier() -> Any:
    from py3langid.langid import MODEL_FILE, LanguageIdentifier

    return LanguageIdentifier.from_model_file(MODEL_FILE, norm_probs=True)
