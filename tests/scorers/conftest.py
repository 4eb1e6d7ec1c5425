"""Weights that are trained here, for every test of the distilled scorer."""

from pathlib import Path

import pytest

from mergeit_ops.scorers.distilled_training import (
    TrainingData,
    build_training_data,
    fit,
    save,
)
from tests.scorers.distilled import CHEAP, HashEncoder, scored_rows


@pytest.fixture(scope="session")
def training_data() -> TrainingData:
    return build_training_data(scored_rows(), HashEncoder(), seed=1)  # type: ignore[arg-type]


@pytest.fixture
def tiny_folder(tmp_path: Path, training_data: TrainingData) -> Path:
    folder = tmp_path / "weights"
    save(fit(training_data, CHEAP).export(training_data.embedding_model, training_data.probe_embedding), folder)
    return folder


@pytest.fixture
def hash_encoder(monkeypatch: pytest.MonkeyPatch) -> HashEncoder:
    encoder = HashEncoder()
    monkeypatch.setattr("mergeit_ops.embedding.load_encoder", lambda *_: encoder)
    return encoder
