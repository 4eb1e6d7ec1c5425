"""Training of the weights that `mergeit_ops.scorers.distilled` reads: rows with known scores in, a folder out."""

from __future__ import annotations

import json
import random
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mergeit_ops.core.sample import Sample
from mergeit_ops.embedding.defaults import DEFAULT_BATCH_SIZE
from mergeit_ops.errors import DatasetError
from mergeit_ops.scorers.distilled import (
    ARRAY_NAMES,
    CONFIG_FILE,
    DENSE_FEATURE_NAMES,
    FORMAT_VERSION,
    MAX_SCORE,
    MIN_SCORE,
    MODEL_KIND,
    PROBE_TEXT,
    SETTING_NAMES,
    WEIGHTS_FILE,
    DistilledModel,
    row_features,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mergeit_ops.embedding.sentence_encoder import SentenceEncoder

MIN_ROWS = 50
"""Fewer scored rows than this cannot be cross-validated to any use."""

CORRUPTIONS: Mapping[str, float] = {"repeated": 0.5, "shuffled": 1.0, "swapped": 0.5}
"""How an output is spoiled, and by how many points its target is lowered.

No real scores of spoiled answers are known; the margins say "worse than the original", not by how much.
"""

GATE_GAMMAS = (0.75, 1.0)

_FEWEST_REPETITIONS, _MOST_REPETITIONS = 2, 30
_PARENTS_FROM_NEIGHBOURS = 2
_RANDOM_TRIPLES = 20_000


@dataclass(frozen=True)
class ScoredRow:
    """A row whose real score is known.

    :param sample: the row.
    :param score: the real score, 1 to 6.
    :param kind: `merged`, `original` or whatever the file says; figures are given for each kind apart.
    """

    sample: Sample
    score: float
    kind: str = ""


@dataclass(frozen=True)
class TrainingSettings:
    """What decides the fit.

    :param components: p, principal components kept of the two embeddings; fewer where the data has fewer.
    :param embedding_weight: scale of the projected embeddings against the dense features, > 0.
    :param surface_weight: scale of the standardised dense features, > 0.
    :param surface_limit: standard deviations at which a dense feature saturates, > 0.
    :param cost: C of the support vector regression, > 0.
    :param gamma: width of its kernel, > 0.
    :param epsilon: half width of its insensitive tube in points of score, >= 0; wider means fewer support vectors.
    """

    components: int = 128
    embedding_weight: float = 0.2
    surface_weight: float = 0.5
    surface_limit: float = 6.0
    cost: float = 5.0
    gamma: float = 0.02
    epsilon: float = 0.25


@dataclass(frozen=True)
class Corruption:
    """Spoiled copies of one kind.

    :param kind: a key of `CORRUPTIONS`.
    :param sources: (k,) rows whose query is kept.
    :param donors: (k,) rows whose output is spoiled; the same as `sources` unless the kind is `swapped`.
    :param features: (k, f) features of the copies.
    """

    kind: str
    sources: NDArray[np.int64]
    donors: NDArray[np.int64]
    features: NDArray[np.float32]


@dataclass(frozen=True)
class TrainingData:
    """Scored rows with their features and those of their spoiled copies.

    :param rows: n rows.
    :param targets: (n,) real scores.
    :param features: (n, f), as `row_features` gives them.
    :param corruptions: one entry per key of `CORRUPTIONS`.
    :param embedding_model: name of the encoder.
    :param probe_embedding: (d,) embedding of `PROBE_TEXT`.
    """

    rows: Sequence[ScoredRow]
    targets: NDArray[np.float64]
    features: NDArray[np.float32]
    corruptions: Sequence[Corruption]
    embedding_model: str
    probe_embedding: NDArray[np.float32]


class FittedRegressor:
    """The scikit-learn estimators of one fit, which `export` turns into plain arrays."""

    def __init__(self, pca: Any, scaler: Any, svr: Any, embedding_scale: float, settings: TrainingSettings) -> None:
        self.pca = pca
        self.scaler = scaler
        self.svr = svr
        self.embedding_scale = embedding_scale
        self.settings = settings

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict unclipped scores with scikit-learn.

        :param features: (n, f), as `row_features` gives them.
        :return: (n,) predictions.
        """
        return self.svr.predict(self.points(features))

    def points(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the (n, p + s) points that the kernel compares."""
        width = features.shape[1] - len(DENSE_FEATURE_NAMES)
        limit, weight = self.settings.surface_limit, self.settings.surface_weight
        projected = self.pca.transform(features[:, :width].astype(np.float64)) * self.embedding_scale
        scaled = np.clip(self.scaler.transform(features[:, width:].astype(np.float64)), -limit, limit) * weight
        # The weights are stored as float32; rounding here keeps both evaluations at the same points.
        return np.hstack([projected, scaled]).astype(np.float32).astype(np.float64)

    def export(self, embedding_model: str, probe_embedding: NDArray[np.float32]) -> DistilledModel:
        """Return the same function as plain arrays.

        :param embedding_model: name of the encoder.
        :param probe_embedding: (d,) embedding of `PROBE_TEXT`.
        """
        projection = self.pca.components_.T * self.embedding_scale
        weight = self.settings.surface_weight
        return DistilledModel(
            embedding_model=embedding_model,
            embedding_width=len(probe_embedding),
            gamma=self.settings.gamma,
            surface_limit=self.settings.surface_limit * weight,
            intercept=float(self.svr.intercept_[0]),
            projection=projection,
            projection_offset=self.pca.mean_ @ projection,
            surface_mean=self.scaler.mean_,
            surface_scale=self.scaler.scale_ / weight,
            support_vectors=self.svr.support_vectors_,
            dual_coefficients=self.svr.dual_coef_[0],
            probe_embedding=probe_embedding.astype(np.float64),
        )


def read_scored_rows(path: Path, score_key: str = "quality_score") -> list[ScoredRow]:
    """Read rows with their real scores; rows with a blank question or answer are left out.

    :param path: JSON Lines with `instruction`, `output`, the score, and optionally `input` and `kind`.
    :param score_key: field of the score, a number from 1 to 6.
    :raises DatasetError: if the file cannot be read, a line lacks a field, or too few rows remain.
    """
    try:
        lines = path.read_text(encoding="utf-8").split("\n")
    except (OSError, UnicodeDecodeError) as error:
        raise DatasetError(f"The scored rows '{path}' could not be read ({error}).") from error
    rows = [
        _scored_row(line, f"'{path}' line {number}", score_key) for number, line in enumerate(lines, 1) if line.strip()
    ]
    usable = [row for row in rows if row.sample.query.strip() and row.sample.output.strip()]
    if len(usable) < MIN_ROWS:
        raise DatasetError(f"'{path}' has {len(usable)} usable scored rows; at least {MIN_ROWS} are needed.")
    return usable


def build_training_data(
    rows: Sequence[ScoredRow],
    encoder: SentenceEncoder,
    *,
    corrupted_share: float = 0.1,
    seed: int = 42,
    batch_size: int = DEFAULT_BATCH_SIZE,
) -> TrainingData:
    """Embed rows and spoiled copies of some of them, each distinct text once.

    :param rows: n scored rows.
    :param encoder: the embedding model.
    :param corrupted_share: share of the rows that are copied and spoiled, once per corruption, in [0, 1].
    :param seed: decides which rows are spoiled and how.
    :param batch_size: texts per forward pass.
    """
    rng = random.Random(seed)
    samples = [row.sample for row in rows]
    copies = {kind: _corrupt(samples, kind, round(corrupted_share * len(rows)), rng) for kind in CORRUPTIONS}
    everything = samples + [sample for _, _, spoiled in copies.values() for sample in spoiled]
    features = row_features(everything, encoder, batch_size)
    corruptions, start = [], len(rows)
    for kind, (sources, donors, spoiled) in copies.items():
        stop = start + len(spoiled)
        corruptions.append(Corruption(kind, np.array(sources, int), np.array(donors, int), features[start:stop]))
        start = stop
    return TrainingData(
        rows=rows,
        targets=np.array([row.score for row in rows]),
        features=features[: len(rows)],
        corruptions=corruptions,
        embedding_model=encoder.model,
        probe_embedding=encoder.encode([PROBE_TEXT])[0],
    )


def fit(
    data: TrainingData, settings: TrainingSettings | None = None, train: NDArray[np.int64] | None = None
) -> FittedRegressor:
    """Fit the regressor.

    :param data: rows with features.
    :param settings: None for the defaults.
    :param train: rows to use; None for all. A spoiled copy is used only if its source and donor both are.
    """
    from sklearn.decomposition import PCA
    from sklearn.preprocessing import StandardScaler
    from sklearn.svm import SVR

    settings = settings or TrainingSettings()
    train = np.arange(len(data.rows)) if train is None else train
    real = data.features[train].astype(np.float64)
    width = real.shape[1] - len(DENSE_FEATURE_NAMES)
    # Spoiled copies stay out of the scaling: their outliers would flatten the differences between real rows.
    components = min(settings.components, len(train) - 1, width)
    pca = PCA(components, svd_solver="full").fit(real[:, :width])
    scaler = StandardScaler().fit(real[:, width:])
    embedding_scale = settings.embedding_weight / float(pca.transform(real[:, :width]).std())
    svr = SVR(kernel="rbf", C=settings.cost, gamma=settings.gamma, epsilon=settings.epsilon)
    fitted = FittedRegressor(pca, scaler, svr, embedding_scale, settings)
    features, targets = _with_corruptions(data, train)
    svr.fit(fitted.points(features), targets)
    return fitted


def cross_validate(
    data: TrainingData, settings: TrainingSettings | None = None, *, folds: int = 5, seed: int = 42
) -> dict[str, Any]:
    """Measure the regressor on rows it was not fitted on.

    :param data: rows with features.
    :param settings: None for the defaults.
    :param folds: number of folds, >= 2.
    :param seed: of the split and of the random triples of the gate figures.
    :return: figures as plain JSON values. `ranking`: Spearman, mean absolute error and mean error (predicted minus
        real), overall and per kind. `gate`: agreement of the decision of the quality gate under predicted and under
        real scores, at each gamma, on merged rows against the two original rows with the nearest queries, and on
        random triples. `corruptions`: mean change of the prediction when the answer is spoiled, and the share of rows
        whose prediction then does not fall.
    """
    from sklearn.model_selection import KFold

    predicted = np.zeros(len(data.rows))
    spoiled = {corruption.kind: np.zeros(len(corruption.sources)) for corruption in data.corruptions}
    for train, held_out in KFold(folds, shuffle=True, random_state=seed).split(predicted):
        fitted = fit(data, settings, train)
        predicted[held_out] = _clip(fitted.predict(data.features[held_out]))
        for corruption in data.corruptions:
            mask = np.isin(corruption.sources, held_out)
            if mask.any():
                spoiled[corruption.kind][mask] = _clip(fitted.predict(corruption.features[mask]))
    kinds = sorted({row.kind for row in data.rows if row.kind})
    of_kind = {kind: np.array([row.kind == kind for row in data.rows]) for kind in kinds}
    groups = {"all": np.ones(len(predicted), dtype=bool), **of_kind}
    return {
        "folds": folds,
        "seed": seed,
        "ranking": {name: _ranking(data.targets[mask], predicted[mask]) for name, mask in groups.items()},
        "gate": _gate_figures(data, predicted, seed),
        "corruptions": {
            corruption.kind: _corruption_figures(spoiled[corruption.kind] - predicted[corruption.donors])
            for corruption in data.corruptions
            if len(corruption.sources)
        },
    }


def save(model: DistilledModel, folder: Path, metrics: Mapping[str, Any] | None = None) -> None:
    """Write `weights.npz` and `config.json`; the folder is made where it is missing.

    :param model: the exported model.
    :param folder: replaced files keep no trace; other files in it stay.
    :param metrics: figures to keep beside the weights.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # float32 for the bulk; the dual coefficients cancel each other out in the kernel sum, so they keep float64.
    stored = {name: getattr(model, name).astype(np.float32) for name in ARRAY_NAMES}
    stored["dual_coefficients"] = model.dual_coefficients
    stored["surface_mean"] = model.surface_mean
    stored["surface_scale"] = model.surface_scale
    np.savez_compressed(folder / WEIGHTS_FILE, **stored)
    config = {
        "format_version": FORMAT_VERSION,
        "model_kind": MODEL_KIND,
        **{name: getattr(model, name) for name in SETTING_NAMES},
        "dense_features": list(DENSE_FEATURE_NAMES),
        "support_vectors": len(model.dual_coefficients),
        "metrics": dict(metrics or {}),
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def repeat_output(output: str, times: int) -> str:
    """Return the answer said several times over."""
    return " ".join([output.strip()] * times)


def shuffle_output(output: str, rng: random.Random) -> str:
    """Return the words of the answer in random order."""
    words = output.split()
    rng.shuffle(words)
    return " ".join(words)


def _scored_row(line: str, where: str, score_key: str) -> ScoredRow:
    try:
        fields = json.loads(line)
        sample = Sample(str(fields["instruction"]), str(fields.get("input") or ""), str(fields["output"]))
        score = float(fields[score_key])
    except (ValueError, TypeError, KeyError, AttributeError) as error:
        raise DatasetError(
            f"{where} is not a JSON object with 'instruction', 'output' and a number in '{score_key}' "
            f"({type(error).__name__}: {error})."
        ) from error
    if not MIN_SCORE <= score <= MAX_SCORE:
        raise DatasetError(
            f"{where} has {score_key} {score}, outside {MIN_SCORE:g} to {MAX_SCORE:g}; rescale the scores first."
        )
    return ScoredRow(sample, score, str(fields.get("kind") or ""))


def _corrupt(
    samples: Sequence[Sample], kind: str, count: int, rng: random.Random
) -> tuple[list[int], list[int], list[Sample]]:
    sources = sorted(rng.sample(range(len(samples)), count))
    # Moving on by one among the chosen rows gives every query the answer of another row.
    donors = sources[1:] + sources[:1] if kind == "swapped" else sources
    spoil: dict[str, Callable[[str], str]] = {
        "repeated": lambda output: repeat_output(output, _repetitions(rng)),
        "shuffled": lambda output: shuffle_output(output, rng),
        "swapped": lambda output: output,
    }
    spoiled = [
        Sample(samples[source].instruction, samples[source].input, spoil[kind](samples[donor].output))
        for source, donor in zip(sources, donors, strict=True)
    ]
    return sources, donors, spoiled


def _repetitions(rng: random.Random) -> int:
    # Even on a log scale, as the length features are: otherwise a thirtyfold answer lies outside what is learnt.
    return round(_FEWEST_REPETITIONS * (_MOST_REPETITIONS / _FEWEST_REPETITIONS) ** rng.random())


def _with_corruptions(data: TrainingData, train: NDArray[np.int64]) -> tuple[NDArray[np.float32], NDArray[np.float64]]:
    features, targets = [data.features[train]], [data.targets[train]]
    for corruption in data.corruptions:
        mask = np.isin(corruption.sources, train) & np.isin(corruption.donors, train)
        spoiled = np.minimum(data.targets[corruption.sources], data.targets[corruption.donors])[mask]
        features.append(corruption.features[mask])
        targets.append(np.maximum(spoiled - CORRUPTIONS[corruption.kind], MIN_SCORE))
    return np.vstack(features), np.concatenate(targets)


def _clip(predictions: NDArray[np.float64]) -> NDArray[np.float64]:
    return np.clip(predictions, MIN_SCORE, MAX_SCORE)


def _ranking(real: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float]:
    from scipy.stats import spearmanr

    return {
        "rows": len(real),
        "spearman": _rounded(spearmanr(real, predicted)[0]),
        "mean_absolute_error": _rounded(np.abs(predicted - real).mean()),
        "mean_error": _rounded((predicted - real).mean()),
    }


def _corruption_figures(change: NDArray[np.float64]) -> dict[str, float]:
    return {
        "rows": len(change),
        "mean_change": _rounded(change.mean()),
        "share_not_lower": _rounded((change >= 0).mean()),
    }


def _gate_figures(data: TrainingData, predicted: NDArray[np.float64], seed: int) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    pairings = {"random_triples": rng.integers(0, len(predicted), (_RANDOM_TRIPLES, 1 + _PARENTS_FROM_NEIGHBOURS))}
    kinds = np.array([row.kind for row in data.rows])
    merged, originals = np.flatnonzero(kinds == "merged"), np.flatnonzero(kinds == "original")
    if len(merged) and len(originals) >= _PARENTS_FROM_NEIGHBOURS:
        query = data.features[:, : len(data.probe_embedding)]
        nearest = np.argsort(-(query[merged] @ query[originals].T), axis=1)[:, :_PARENTS_FROM_NEIGHBOURS]
        pairings["merged_against_nearest_originals"] = np.column_stack([merged, originals[nearest]])
    return {
        name: {f"gamma_{gamma:g}": _gate_agreement(triples, data.targets, predicted, gamma) for gamma in GATE_GAMMAS}
        for name, triples in pairings.items()
    }


def _gate_agreement(
    triples: NDArray[np.int64], real: NDArray[np.float64], predicted: NDArray[np.float64], gamma: float
) -> dict[str, float]:
    """Compare decisions; the first column of a triple is the merge, the others are its parents."""

    def accepts(scores: NDArray[np.float64]) -> NDArray[np.bool_]:
        return scores[triples[:, 0]] > gamma * scores[triples[:, 1:]].mean(axis=1)

    truth, guess = accepts(real), accepts(predicted)
    figures = {
        "pairs": len(triples),
        "accepted_by_real": _rounded(truth.mean()),
        "accepted_by_predicted": _rounded(guess.mean()),
        "agreement": _rounded((truth == guess).mean()),
    }
    if truth.any() and not truth.all():
        figures["accepts_found"] = _rounded(guess[truth].mean())
        figures["rejects_found"] = _rounded((~guess[~truth]).mean())
    return figures


def _rounded(value: Any) -> float:
    return round(float(value), 4)
