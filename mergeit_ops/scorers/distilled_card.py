"""The card of a distilled scorer: its origin, its reliability, and its licence."""

from __future__ import annotations

import json
from collections.abc import Mapping
from typing import Any

from mergeit_ops.scorers.distilled_figures import as_tables
from mergeit_ops.scorers.familiarity import TrainedOn

__all__ = ["LICENCE", "card"]

LICENCE = (
    "The licence is for you to choose. These weights hold nothing of those that ship with MergeIT-ops (CC BY-NC 4.0). "
    "They are made of your rows and of the judge's scores: the licence of the rows, and the terms of the judge's model "
    "or of its provider, say what they may be used for."
)


def card(made_from: Mapping[str, Any], trained_on: TrainedOn, figures: Mapping[str, Any], said: str) -> str:
    """Return a card in Markdown.

    :param made_from: origin of the scores, and how the weights were trained on them; plain data.
    :param trained_on: the training rows.
    :param figures: figures of `held_out_figures`.
    :param said: sentence about the agreement.
    """
    facts = "\n".join(f"| {name.replace('_', ' ')} | {_cell(value)} |" for name, value in made_from.items())
    return f"""# Scorer distilled from {made_from["judge"]}

A small regressor that gives the score of a judge without asking it, on a CPU. It sees topic, length, variety,
repetition and form of a row, and not whether an answer is true. To use it: `scorer: distilled`, and the path of this
folder in `scorer_params` as `path`.

## What it was made of

| | |
|---|---|
{facts}

## What it knows

Trained on {trained_on.sentence()}

A row that is unlike these gets no score but a reason: `other_language`, `reasoning` for a reasoning trace in the
response, or `unlike_training`. With `unfamiliar: score` in `scorer_params` it gets a score, which says little.

## How far it agrees

{said}

The rows of these figures had no part in training. "Real" is the score of the judge.

{as_tables(dict(figures))}

## Licence

{LICENCE}
"""


def _cell(value: Any) -> str:
    text = value if isinstance(value, str) else json.dumps(value, ensure_ascii=False)
    return " ".join(text.split()).replace("|", "\\|")
