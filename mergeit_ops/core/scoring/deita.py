"""The prompts of the Deita scorers, and the computation of the score from their answer.

Source: Liu et al., "What Makes Good Data for Alignment?" (arXiv 2312.15685). The two templates are those of
https://github.com/hkust-nlp/deita, Apache License 2.0, character for character, including blanks at line ends, because
the published scorers were trained on them.
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
"""The possible answers of a scorer, each a single digit."""

PUBLISHED_MODELS: Mapping[str, str] = {
    "quality": "hkust-nlp/deita-quality-scorer",
    "complexity": "hkust-nlp/deita-complexity-scorer",
}
"""The kinds of scores, and the published model of each."""

QUALITY_TEMPLATE = (
    "You are a helpful assistant. Please identify the quality score of the Response corresponding to the Question. \n"
    " #Question#:\n{instruction}\n#Response#:\n{output} \n##Quality: "
)
"""Prompt of the quality scorer, for `str.format`. Inserted texts are never read as templates."""

COMPLEXITY_TEMPLATE = (
    "You are a helpful assistant. Please identify the complexity score of the following user query. \n"
    "##Query: {instruction}  \n##Complexity: "
)
"""Prompt of the complexity scorer, for `str.format`."""


def quality_prompt(instruction: str, output: str) -> str:
    """Return the text after which the quality scorer names its score.

    :param instruction: the question, inserted unchanged.
    :param output: the response to it, inserted unchanged.
    """
    return QUALITY_TEMPLATE.format(instruction=instruction, output=output)


def complexity_prompt(instruction: str) -> str:
    """Return the text after which the complexity scorer names its score.

    :param instruction: the question, inserted unchanged.
    """
    return COMPLEXITY_TEMPLATE.format(instruction=instruction)


def expected_score(weights: Sequence[float]) -> float:
    """Return the mean of 1 to 6, weighted by the softmax of a scorer's weights of the digits.

    :param weights: six logits or six log-probabilities of "1" to "6"; both give the same result. -inf means that a
        digit is ruled out.
    :return: a score in [1, 6].
    :raises ValueError: if there are not six, if one is NaN or +inf, or if every digit is ruled out.
    """
    if len(weights) != len(SCORES):
        raise ValueError(f"expected {len(SCORES)} weights, one per digit, got {len(weights)}")
    highest = max(weights)
    if not math.isfinite(highest) or any(math.isnan(weight) for weight in weights):
        raise ValueError("weights must hold no NaN and no +inf, and at least one that is finite")
    shares = [math.exp(weight - highest) for weight in weights]
    # In exact arithmetic the bounds hold; rounding must not leave the scale.
    mean = math.fsum(score * share for score, share in zip(SCORES, shares, strict=True)) / math.fsum(shares)
    return min(max(mean, float(SCORES[0])), float(SCORES[-1]))
