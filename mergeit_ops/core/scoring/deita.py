"""The Deita scorers as text and arithmetic: what they read, and how a score follows from their answer.

Source: Liu et al., "What Makes Good Data for Alignment?" (arXiv 2312.15685). The two templates are those of
https://github.com/hkust-nlp/deita, Apache License 2.0, character for character: the published scorers were trained on
them, blanks at line ends included.
"""

from __future__ import annotations

import math
from collections.abc import Mapping, Sequence

__all__ = [
    "COMPLEXITY_TEMPLATE",
    "PUBLISHED_MODELS",
    "QUALITY_TEMPLATE",
    "SCORES",
    "complexity_prompt",
    "expected_score",
    "quality_prompt",
]

SCORES: tuple[int, ...] = (1, 2, 3, 4, 5, 6)
"""What a scorer may answer, each as one digit."""

PUBLISHED_MODELS: Mapping[str, str] = {
    "quality": "hkust-nlp/deita-quality-scorer",
    "complexity": "hkust-nlp/deita-complexity-scorer",
}
"""What can be scored, and the published model for it."""

QUALITY_TEMPLATE = (
    "You are a helpful assistant. Please identify the quality score of the Response corresponding to the Question. \n"
    " #Question#:\n{instruction}\n#Response#:\n{output} \n##Quality: "
)
"""Prompt of the quality scorer, for `str.format`: what is put in is never read as a template itself."""

COMPLEXITY_TEMPLATE = (
    "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
    "##Query: {instruction}  \n##Complexity: "
)
"""Prompt of the complexity scorer, for `str.format`."""


def quality_prompt(instruction: str, output: str) -> str:
    """Return the text after which the quality scorer names its score.

    :param instruction: the question, put in as it is.
    :param output: the response to it, put in as it is.
    """
    return QUALITY_TEMPLATE.format(instruction=instruction, output=output)


def complexity_prompt(instruction: str) -> str:
    """Return the text after which the complexity scorer names its score.

    :param instruction: the question, put in as it is.
    """
    return COMPLEXITY_TEMPLATE.format(instruction=instruction)


def expected_score(weights: Sequence[float]) -> float:
    """Return the mean of 1 to 6, weighted by the softmax of what a scorer gives to each digit.

    :param weights: six logits, or six log-probabilities, of "1" to "6": the result is the same. -inf is a digit that
        is ruled out.
    :return: a score in [1, 6].
    :raises ValueError: if there are not six, if one is NaN or +inf, or if every digit is ruled out.
    """
    if len(weights) != len(SCORES):
        raise ValueError(f"expected {len(SCORES)} weights, one per digit, got {len(weights)}")
    highest = max(weights)
    if not math.isfinite(highest) or any(math.isnan(weight) for weight in weights):
        raise ValueError("weights must hold no NaN and no +inf, and at least one that is finite")
    shares = [math.exp(weight - highest) for weight in weights]
    # The bounds hold in exact arithmetic; rounding must not leave the scale.
    mean = math.fsum(score * share for score, share in zip(SCORES, shares, strict=True)) / math.fsum(shares)
    return min(max(mean, float(SCORES[0])), float(SCORES[-1]))
