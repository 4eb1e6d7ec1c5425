"""How much the probability of a response depends on the exact wording of its instruction.

Source: Kung et al., "Active Instruction Tuning" (arXiv 2311.00288): instructions lose words at random.
"""

from __future__ import annotations

import hashlib
import re
from collections.abc import Sequence
from random import Random

from mergeit_ops.core.rows.identity import sample_digest
from mergeit_ops.core.sample import Sample

__all__ = ["prompt_uncertainty", "with_words_dropped"]

_WORD = re.compile(r"\S+\s*")


def prompt_uncertainty(probability: float, perturbed: Sequence[float]) -> float:
    """Return the mean absolute difference of probabilities.

    :param probability: probability of the response given the instruction: exp(-L), where L is the mean loss of its
        tokens.
    :param perturbed: the same for each perturbed instruction, at least one.
    :return: 0 to 1.
    """
    return sum(abs(other - probability) for other in perturbed) / len(perturbed)


def with_words_dropped(sample: Sample, count: int, drop_rate: float, seed: int) -> list[str]:
    """Return the instruction of a row without some of its words, several times.

    The draw depends only on the texts of the row and the seed, so it is the same in any order and executor.

    :param sample: the row; its instruction has at least one word.
    :param count: how many.
    :param drop_rate: probability that a word is dropped, 0 <= drop_rate < 1. If all words are dropped, they are drawn
        again.
    :param seed: seed of the draw.
    """
    digest = hashlib.sha256(f"{sample_digest(sample)}:{seed}".encode()).digest()
    random = Random(int.from_bytes(digest[:8], "big"))
    words = _WORD.findall(sample.instruction)
    texts: list[str] = []
    while len(texts) < count:
        kept = [word for word in words if random.random() >= drop_rate]
        if len(kept) == len(words):
            texts.append(sample.instruction)
        elif kept:
            texts.append("".join(kept).rstrip())
    return texts
