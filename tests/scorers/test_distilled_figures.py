"""How far a distilled scorer can be trusted: figures of rows that had no part in making it."""

import json

import numpy as np

from mergeit_ops.scorers.corruption import KINDS
from mergeit_ops.scorers.distilled_figures import as_tables, nested_cross_validation
from mergeit_ops.scorers.distilled_training import (
    TrainingData,
    TrainingSettings,
)
from tests.scorers.distilled import CHEAP


def test_nested_cross_validation_reports_each_kind_gate_and_way_of_spoiling(training_data: TrainingData) -> None:
    figures = nested_cross_validation(training_data, folds=3, seed=0, choose=lambda data, train, seed: CHEAP)
    assert set(figures["ranking"]) == {"all", "merged", "original"}
    assert figures["ranking"]["all"]["spearman"] > 0.8
    assert set(figures["gate"]) == {"random_triples", "merged_against_nearest_originals"}
    assert all(set(gate) == {"gamma_0.75", "gamma_1"} for gate in figures["gate"].values())
    assert set(figures["corruptions"]) == set(KINDS)
    tenths = figures["reliability"]
    assert sum(tenth["rows"] for tenth in tenths) == len(training_data.rows)
    assert [tenth["predicted"] for tenth in tenths] == sorted(tenth["predicted"] for tenth in tenths)
    json.dumps(figures)
    assert as_tables(figures).count("\n\n") == 3


def test_no_held_out_row_has_any_part_in_choosing_the_settings(training_data: TrainingData) -> None:
    seen: list[set[int]] = []

    def choose(data: TrainingData, train: np.ndarray, seed: int) -> TrainingSettings:
        seen.append(set(train.tolist()))
        return CHEAP

    nested_cross_validation(training_data, folds=4, choose=choose)
    everything = set(range(len(training_data.rows)))
    held_out = [everything - rows for rows in seen]
    assert sorted(row for rows in held_out for row in rows) == sorted(everything)
