"""The card of a scorer of one's own."""

from __future__ import annotations

import numpy as np

from mergeit_ops.core.sample import Sample
from mergeit_ops.scorers.distilled_card import LICENCE, card
from mergeit_ops.scorers.familiarity import TrainedOn

FIGURES = {
    "ranking": {"all": {"rows": 30, "spearman": 0.91, "mean_absolute_error": 0.2, "mean_error": 0.01}},
    "reliability": [],
    "gate": {},
    "corruptions": {},
}


def test_a_card_says_what_made_it_how_far_it_agrees_and_whose_it_is():
    made_from = {"judge": "llm_judge", "scale": [0.0, 5.0], "judge_params": {"rubric": "One | two\n three"}}
    rows = [Sample("Why does bread keep longer in a cloth?", "", "It stays dry, and so it goes mouldy later.")]
    text = card(made_from, TrainedOn.of(rows, np.ones(1)), FIGURES, "They agree.")
    assert text.startswith("# Scorer distilled from llm_judge\n")
    assert "| scale | [0.0, 5.0] |" in text
    # A line break or a bar of a rubric does not break the table.
    assert "One \\| two\\n three" in text
    assert "They agree." in text
    assert "Trained on 1 row; languages: en 100.0%;" in text
    assert "| all  | 30    | 0.910    |" in text
    # Tables without lines are left out.
    assert "Triples" not in text
    assert text.rstrip().endswith(LICENCE)
