"""Training of the distilled scorer: which rows count, and that the same rows give the same model."""

import dataclasses
import json
from pathlib import Path

import numpy as np
import pytest

from mergeit_ops.errors import DatasetError
from mergeit_ops.scorers.distilled import (
    load_model,
)
from mergeit_ops.scorers.distilled_training import (
    MIN_ROWS,
    TrainingData,
    build_training_data,
    choose_settings,
    draw_rows,
    fit,
    read_scored_rows,
)
from tests.scorers.distilled import CHEAP, HashEncoder, scored_rows


def test_saved_model_predicts_what_scikit_learn_predicts(tiny_folder: Path, training_data: TrainingData) -> None:
    features = training_data.features
    expected = fit(training_data, CHEAP).predict(features)
    np.testing.assert_allclose(load_model(tiny_folder).predict(features), expected, atol=1e-4)


def test_training_twice_gives_the_same_model(tiny_folder: Path, training_data: TrainingData) -> None:
    again = build_training_data(scored_rows(), HashEncoder(), seed=1)  # type: ignore[arg-type]
    predicted = load_model(tiny_folder).predict(training_data.features)
    np.testing.assert_allclose(fit(again, CHEAP).predict(training_data.features), predicted, atol=1e-4)


def test_settings_are_chosen_from_the_named_rows_alone(training_data: TrainingData) -> None:
    train = np.arange(0, 80, 2)
    features, targets = training_data.features.copy(), training_data.targets.copy()
    features[1::2], targets[1::2] = 1e6, 1.0
    disturbed = dataclasses.replace(training_data, features=features, targets=targets)
    assert choose_settings(disturbed, train) == choose_settings(training_data, train)


def test_too_many_rows_are_drawn_from_in_their_order() -> None:
    rows = scored_rows(30)
    drawn = draw_rows(rows, seed=1, most=10)
    assert len(drawn) == 10
    assert [rows.index(row) for row in drawn] == sorted(rows.index(row) for row in drawn)
    assert draw_rows(rows, seed=1, most=10) == drawn
    assert draw_rows(rows, most=30) == rows


def test_rows_with_blank_sides_are_not_trained_on(tmp_path: Path) -> None:
    file = tmp_path / "scored.jsonl"
    lines = [{"instruction": f"q {n}", "output": "answer", "quality_score": 2.0} for n in range(MIN_ROWS)]
    lines.append({"instruction": "q", "output": " ", "quality_score": 2.0})
    file.write_text("\n".join(map(json.dumps, lines)) + "\n", encoding="utf-8")
    assert len(read_scored_rows(file)) == MIN_ROWS


@pytest.mark.parametrize(
    ("line", "complaint"),
    [
        ("not json", "line 1 is not JSON"),
        ("[1]", "line 1 is not a JSON object"),
        ('{"instruction": "q", "output": "a"}', "has no 'quality_score'; it has 'instruction', 'output'"),
        ('{"quality_score": 2}', "has no 'instruction' and no 'output'"),
        ('{"instruction": "q", "output": "a", "quality_score": "good"}', "'good', which is not a number"),
        ('{"instruction": "q", "output": "a", "quality_score": true}', "True, which is not a number"),
        ('{"instruction": "q", "output": "a", "quality_score": [3]}', "which is not a number"),
        ('{"instruction": "q", "output": "a", "quality_score": 9}', "outside 1 to 6"),
        ('{"instruction": "q", "output": "a", "quality_score": NaN}', "outside 1 to 6"),
        ('{"instruction": "q", "output": "a", "quality_score": 3}', "at least"),
    ],
)
def test_unusable_scored_rows_are_refused_with_the_place(tmp_path: Path, line: str, complaint: str) -> None:
    file = tmp_path / "scored.jsonl"
    file.write_text(line, encoding="utf-8")
    with pytest.raises(DatasetError, match=complaint):
        read_scored_rows(file)
