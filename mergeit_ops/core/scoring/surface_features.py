"""Features of a row that can be counted without a model: lengths, variety, repetition and form."""

from __future__ import annotations

import re
import string
import zlib
from collections.abc import Iterable, Sequence
from itertools import pairwise
from statistics import pstdev
from typing import TYPE_CHECKING

import numpy as np

from mergeit_ops.core.sample import Sample

if TYPE_CHECKING:
    from numpy.typing import NDArray

FEATURE_NAMES: tuple[str, ...] = (
    "query_log_chars",
    "query_log_words",
    "query_has_input",
    "output_log_chars",
    "output_log_words",
    "output_log_distinct_words",
    "output_log_sentences",
    "output_log_lines",
    "output_log_compressed_bytes",
    "output_to_query_log_ratio",
    "output_compression_ratio",
    "output_type_token_ratio",
    "output_repeated_trigram_share",
    "output_repeated_sentence_share",
    "output_mean_word_length",
    "output_long_word_share",
    "output_digit_share",
    "output_punctuation_share",
    "output_uppercase_share",
    "output_list_line_share",
    "output_has_code_fence",
    "output_ends_with_terminal",
    "output_capitalised_sentence_share",
    "output_misplaced_article_share",
    "output_words_from_query_share",
    "output_function_word_share",
    "output_log_content_stems",
    "output_content_stems_per_word_share",
    "output_linked_sentence_share",
    "output_log_words_per_sentence",
    "output_log_sentence_spread",
    "query_stems_answered_share",
)
"""Names of the columns of `surface_features`, in order.

Lengths are ln(1 + count). Shares and ratios are 0 if the divisor is 0.
"""

_WORD = re.compile(r"[^\W_]+(?:['’\-][^\W_]+)*")
# The lookbehind prevents a new attempt at every mark of a long run.
_SENTENCE_END = re.compile(r"(?<![.!?。！？])[.!?。！？]+[\"'”’)\]]*(?=\s|$)|\n+")
_LIST_LINE = re.compile(r"\s*(?:[-*•–]|\(?\d{1,3}[.):]|\(?[A-Za-z][.)])\s+\S")
_TERMINAL = re.compile(r"[.!?。！？…][\"'”’)\]`*]*$")
_PUNCTUATION = frozenset(string.punctuation + "“”‘’…–—。！？、，；：")
_ARTICLES = frozenset({"a", "an", "the"})
# Words that do not follow an article in English prose, as a cheap sign of scrambled word order.
_FUNCTION_WORDS = """
    a an the of to in on at by for from with and or but nor so as than that this these those is are was were be been has
    have had do does did will would can could should may might must it its he she they them their his her we our you
    your i my me us him which who whom whose what when where why how if because while although into onto upon through
    during between
"""
_NEVER_AFTER_ARTICLE = frozenset(_FUNCTION_WORDS.split())
_CONTENT_LETTERS = 4
_STEM_LETTERS = 5  # plural and verb endings do not count
_LONG_WORD = 7
_MAX_COMPRESSION_RATIO = 1.5


def surface_features(samples: Sequence[Sample]) -> NDArray[np.float32]:
    """Count the surface features of each row.

    The features of a row depend only on its own sample. Word-level features assume that spaces separate words;
    `output_misplaced_article_share` and `output_function_word_share` are for English only. Stems are the first five
    letters of words that have at least four letters and are not function words. A sentence is linked if the next one
    shares a stem.

    :param samples: n rows; any text may be empty.
    :return: (n, len(FEATURE_NAMES)) float32, all finite.
    """
    features = np.zeros((len(samples), len(FEATURE_NAMES)), dtype=np.float32)
    for row, sample in enumerate(samples):
        features[row] = _features_of(sample)
    return features


def _features_of(sample: Sample) -> list[float]:
    query, output = sample.query.strip(), sample.output.strip()
    query_words = [word.lower() for word in _WORD.findall(query)]
    cased_words = _WORD.findall(output)
    words = [word.lower() for word in cased_words]
    distinct = set(words)
    sentences = [part.strip() for part in _SENTENCE_END.split(output) if part.strip()]
    lines = [line for line in output.splitlines() if line.strip()]
    raw = output.encode("utf-8", errors="replace")
    sentence_words = [[word.lower() for word in _WORD.findall(sentence)] for sentence in sentences]
    sentence_lengths = [len(part) for part in sentence_words]
    stems_of = [_stems(part) for part in sentence_words]
    stems, query_stems = set().union(*stems_of), _stems(query_words)
    # Level 6 is the current default; naming it keeps the feature fixed.
    compressed = len(zlib.compress(raw, 6)) if raw else 0
    return [
        _log(len(query)),
        _log(len(query_words)),
        float(bool(sample.input.strip())),
        _log(len(output)),
        _log(len(words)),
        _log(len(distinct)),
        _log(len(sentences)),
        _log(len(lines)),
        _log(compressed),
        _log(len(output)) - _log(len(query)),
        min(_share(compressed, len(raw)), _MAX_COMPRESSION_RATIO),
        _share(len(distinct), len(words)),
        _repeated_share(list(zip(words, words[1:], words[2:], strict=False))),
        _repeated_share([sentence.lower() for sentence in sentences]),
        _share(sum(map(len, words)), len(words)),
        _share(sum(len(word) >= _LONG_WORD for word in words), len(words)),
        _share(sum(map(str.isdigit, output)), len(output)),
        _share(sum(char in _PUNCTUATION for char in output), len(output)),
        _share(sum(map(str.isupper, output)), len(output)),
        _share(sum(_LIST_LINE.match(line) is not None for line in lines), len(lines)),
        float("```" in output),
        float(_TERMINAL.search(output) is not None),
        _share(sum(sentence[0].isupper() for sentence in sentences), len(sentences)),
        _misplaced_article_share(words),
        _share(len(distinct & set(query_words)), len(distinct)),
        _share(sum(word in _NEVER_AFTER_ARTICLE for word in words), len(words)),
        _log(len(stems)),
        _share(len(stems), len(words)),
        _share(sum(not before.isdisjoint(after) for before, after in pairwise(stems_of)), len(stems_of) - 1),
        _log(_share(len(words), len(sentences))),
        _log(pstdev(sentence_lengths)) if sentence_lengths else 0.0,
        _share(len(stems & query_stems), len(query_stems)),
    ]


def _stems(words: Iterable[str]) -> set[str]:
    return {
        word[:_STEM_LETTERS] for word in words if len(word) >= _CONTENT_LETTERS and word not in _NEVER_AFTER_ARTICLE
    }


def _log(count: float) -> float:
    return float(np.log1p(count))


def _share(part: int, whole: int) -> float:
    return part / whole if whole else 0.0


def _repeated_share(items: Sequence[object]) -> float:
    return 1.0 - len(set(items)) / len(items) if items else 0.0


def _misplaced_article_share(words: Sequence[str]) -> float:
    followers = [after for word, after in pairwise(words) if word in _ARTICLES]
    return _share(sum(after in _NEVER_AFTER_ARTICLE for after in followers), len(followers))
