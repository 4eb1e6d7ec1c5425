"""A model's rating of a row, and how sure the model is, over several ways to ask.

Source: Liu et al., "SelectIT" (arXiv 2402.16705). The prompts are our own.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from statistics import fmean, pstdev

__all__ = ["RATINGS", "RATING_PROMPTS", "prompt_parts", "sentence_score", "token_score"]

RATINGS: tuple[int, ...] = (1, 2, 3, 4, 5)
"""The ratings, each a digit."""

RATING_PROMPTS: tuple[str, ...] = (
    "Rate from 1 to 5 how accurately the response follows the instruction. 1 is the lowest rating, 5 is the highest.",
    "Below are an instruction and a response to it. Judge whether the response does what is asked, and give it a score "
    "between 1 (not at all) and 5 (completely).",
    "How well does the response carry out its instruction? Answer with one number: 1 is poor, 2 weak, 3 fair, 4 good, "
    "5 excellent.",
    "You are an examiner. Grade the response from 1 to 5 by how exactly it meets the instruction; 5 means that nothing "
    "is wrong and nothing is missing.",
    "Assess the response to the instruction on a scale of five points, where 1 stands for useless and 5 for a response "
    "that does precisely what the instruction says.",
)
"""Prompts for a rating of how accurately an instruction is followed."""


def prompt_parts(rating_prompt: str, question: str) -> tuple[str, str]:
    """Return the texts before and after a response to rate.

    The prompt ends with a line break, so that the next token is the bare digit in any vocabulary.
    """
    before = f"{rating_prompt}\n\nInstruction:\n{question}\n\nResponse:\n"
    return before, "\n\nThe rating, one digit from 1 to 5:\n"


def token_score(weights: Sequence[float]) -> float:
    """Return the likeliest rating, times its lead over the others.

    P' = softmax(p / sum(p)), and the score is r * mean over the other ratings k of (P'_r - P'_k). The softmax of
    numbers that are already probabilities compresses the score to at most 5 * 0.255762. Among equal ratings the lowest
    counts.

    :param weights: log-probabilities, or logits, of the five ratings.
    :raises ValueError: if one is NaN or positive infinity, or none is finite.
    """
    highest = max(weights)
    if any(map(math.isnan, weights)) or not math.isfinite(highest):
        raise ValueError(f"no finite weights: {list(weights)}")
    shares = [math.exp(weight - highest) for weight in weights]
    total = math.fsum(shares)
    powers = [math.exp(share / total) for share in shares]
    best = max(range(len(powers)), key=powers.__getitem__)
    gaps = math.fsum(powers[best] - power for power in powers) / math.fsum(powers)
    return RATINGS[best] * gaps / (len(powers) - 1)


def sentence_score(scores: Sequence[float], alpha: float) -> float:
    """Return the mean of the scores of several prompts, lowered if they disagree: mean / (1 + alpha * std).

    :param scores: see `token_score`; at least one.
    :param alpha: weight of the (population) standard deviation.
    """
    return fmean(scores) / (1 + alpha * pstdev(scores))
