"""Training of the weights that `mergeit_ops.scorers.distilled` reads, from rows with known scores."""

from __future__ import annotations

import json
import random
from collections.abc import Iterator, Mapping, Sequence
from dataclasses import asdict, dataclass, field, replace
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np

from mergeit_ops.core.measures.rank_correlation import spearman
from mergeit_ops.core.rows.row_files import UnreadableFileError, rows_of_file
from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import DatasetError
from mergeit_ops.scorers.corruption import KINDS, MARGINS, spoil_rows
from mergeit_ops.scorers.distilled import (
    ARRAY_NAMES,
    CONFIG_FILE,
    DENSE_FEATURE_NAMES,
    FORMAT_VERSION,
    MODEL_KIND,
    NO_RATIO_KEY,
    PROBE_TEXT,
    SCALE_KEY,
    SETTING_NAMES,
    TRAINED_ON_KEY,
    WEIGHTS_FILE,
    DistilledModel,
    ScoreScale,
    row_features,
)
from mergeit_ops.scorers.familiarity import TrainedOn

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mergeit_ops.embedding.encoder import Encoder

MIN_ROWS = 50
"""Cross-validation of fewer scored rows than this is not useful."""

MAX_ROWS = 8_000
"""Most rows used, drawn by the seed. The time of a support vector regression grows with the square of the rows, and the
size of its weights with the rows."""

INNER_FOLDS = 3

SEARCH: Mapping[str, tuple[float, ...]] = {
    "gamma": (0.01, 0.02),
    "cost": (2.5, 6.0),
    "embedding_weight": (0.2, 0.3),
    "components": (128, 192),
    "epsilon": (0.15, 0.25),
}
"""Values to try for each setting, one setting after the other."""


@dataclass(frozen=True)
class ScoredRow:
    """A row whose real score is known.

    :param sample: the row.
    :param score: the real score.
    :param kind: `merged`, `original` or another value in the file. Figures are reported separately for each kind.
    """

    sample: Sample
    score: float
    kind: str = ""


@dataclass(frozen=True)
class TrainingSettings:
    """Settings of the fit. Their points are those of the Deita scores, on which the values were chosen; see
    `TrainingData.unit`.

    :param components: p, principal components kept of the two embeddings; fewer if the data has fewer.
    :param embedding_weight: scale of the projected embeddings relative to the dense features, > 0.
    :param surface_weight: scale of the standardised dense features, > 0.
    :param surface_limit: standard deviations at which a dense feature saturates, > 0.
    :param cost: C of the support vector regression, > 0.
    :param gamma: width of its kernel, > 0.
    :param epsilon: half width of its insensitive tube in points of score, >= 0; wider means fewer support vectors.
    :param trees: number of boosted trees that learn the deduction.
    :param tree_depth: depth of the trees, >= 1.
    :param learning_rate: share of each tree's output that counts, in (0, 1].
    :param deduction_scale: factor on the deduction, > 0. It corrects the trees, which deduct too little because most of
        their rows are honest.
    :param deduction_free: points of deduction that are ignored, >= 0, because small deductions are noise on honest
        rows.
    :param honest_weight: weight of a real row relative to a spoiled copy when the trees are fitted, > 0.
    """

    components: int = 128
    embedding_weight: float = 0.2
    surface_weight: float = 0.5
    surface_limit: float = 6.0
    cost: float = 2.5
    gamma: float = 0.02
    epsilon: float = 0.25
    trees: int = 200
    tree_depth: int = 4
    learning_rate: float = 0.1
    deduction_scale: float = 1.3
    deduction_free: float = 0.25
    honest_weight: float = 2.0


@dataclass(frozen=True)
class Corruption:
    """Spoiled copies of one kind.

    :param kind: one of `corruption.KINDS`; kinds without a margin are used only for figures.
    :param sources: (k,) rows whose query is kept.
    :param donors: (k,) rows from which the copy has its answer or a part of it; the sources if there is no other row.
    :param features: (k, f) features of the copies.
    """

    kind: str
    sources: NDArray[np.int64]
    donors: NDArray[np.int64]
    features: NDArray[np.float32]

    def within(self, rows: NDArray[np.int64]) -> NDArray[np.bool_]:
        """Return which copies are made only from these rows."""
        return np.isin(self.sources, rows) & np.isin(self.donors, rows)

    def compared_with(self, scores: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return the score that each copy should stay below: that of its source, or of its donor if it has the donor's
        answer."""
        if self.kind == "swapped":
            return np.minimum(scores[self.sources], scores[self.donors])
        return scores[self.sources]


@dataclass(frozen=True)
class TrainingData:
    """Scored rows with their features and those of their spoiled copies.

    :param rows: n rows.
    :param targets: (n,) real scores.
    :param features: (n, f), as `row_features` gives them.
    :param corruptions: one entry per kind.
    :param embedding_model: name of the encoder.
    :param probe_embedding: (d,) embedding of `PROBE_TEXT`.
    :param scale: of the scores.
    :param unit: what one point of the Deita score is on this scale, > 0. The settings are in Deita points, and so are
        the points that a spoiled answer should lose.
    :param deducts: whether spoiled answers should have a lower score.
    """

    rows: Sequence[ScoredRow]
    targets: NDArray[np.float64]
    features: NDArray[np.float32]
    corruptions: Sequence[Corruption]
    embedding_model: str
    probe_embedding: NDArray[np.float32]
    scale: ScoreScale = field(default_factory=ScoreScale)
    unit: float = 1.0
    deducts: bool = True


class FeatureSpace:
    """Principal components of the embeddings and scaling of the dense features, of one set of real rows.

    Spoiled copies are excluded, because their outliers would flatten the differences between real rows.

    :param features: (n, f) of the rows, as `row_features` gives them.
    """

    def __init__(self, features: NDArray[np.float32]) -> None:
        self.width = features.shape[1] - len(DENSE_FEATURE_NAMES)
        embeddings, dense = np.split(features.astype(np.float64), [self.width], axis=1)
        self.center = embeddings.mean(axis=0)
        self._axes, self._variances = _principal_axes(embeddings - self.center)
        self.mean = dense.mean(axis=0)
        scale = dense.std(axis=0)
        self.scale = np.where(scale > 0, scale, 1.0)

    def projection(self, settings: TrainingSettings) -> NDArray[np.float64]:
        """Return the (2 d, p) projection, scaled so that its coordinates have the embedding weight on average."""
        spread = float(np.sqrt(self._variances[: settings.components].mean()))
        return self._axes[:, : settings.components] * (settings.embedding_weight / spread)

    def points(self, features: NDArray[np.float32], settings: TrainingSettings) -> NDArray[np.float64]:
        """Return the (n, p + s) points that the kernel compares."""
        projected = (features[:, : self.width].astype(np.float64) - self.center) @ self.projection(settings)
        scaled = (features[:, self.width :].astype(np.float64) - self.mean) / self.scale
        limited = np.clip(scaled, -settings.surface_limit, settings.surface_limit) * settings.surface_weight
        # The weights are stored as float32. Rounding here makes both evaluations use the same points.
        return np.hstack([projected, limited]).astype(np.float32).astype(np.float64)


class FittedRegressor:
    """The scikit-learn estimators of one fit, which `export` turns into plain arrays.

    :param space: feature space of the training rows.
    :param svr: predicts the score of an honest answer.
    :param trees: regressor that predicts the deduction; None: there is no deduction, or the trees are not fitted yet.
    :param settings: of the fit.
    :param scale: of the scores.
    :param unit: see `TrainingData`.
    """

    def __init__(
        self, space: FeatureSpace, svr: Any, trees: Any, settings: TrainingSettings, scale: ScoreScale, unit: float
    ) -> None:
        self.space = space
        self.svr = svr
        self.trees = trees
        self.settings = settings
        self.scale = scale
        self._free = settings.deduction_free * unit

    def quality(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return (n,) scores before the deduction."""
        return self.svr.predict(self.space.points(features, self.settings))

    def deduction(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the (n,) deductions, >= 0."""
        if self.trees is None:
            return np.zeros(len(features))
        points = self.trees.predict(features[:, self.space.width :]) - self._free
        return self.settings.deduction_scale * np.maximum(points, 0.0)

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict unclipped scores with scikit-learn.

        :param features: (n, f), as `row_features` gives them.
        :return: (n,) predictions.
        """
        return self.quality(features) - self.deduction(features)

    def export(self, embedding_model: str, probe_embedding: NDArray[np.float32]) -> DistilledModel:
        """Return the same function as plain arrays.

        :param embedding_model: name of the encoder.
        :param probe_embedding: (d,) embedding of `PROBE_TEXT`.
        """
        projection = self.space.projection(self.settings)
        weight = self.settings.surface_weight
        scale = self.settings.deduction_scale
        if self.trees is None:
            leaves = np.zeros((0, 2))
            features = thresholds = np.zeros((0, 1))
            offset = rate = 0.0
        else:
            features, thresholds, leaves = _complete_trees(self.trees, self.settings.tree_depth)
            offset, rate = float(self.trees.init_.constant_[0, 0]) - self._free, self.trees.learning_rate
        return DistilledModel(
            embedding_model=embedding_model,
            embedding_width=len(probe_embedding),
            gamma=self.settings.gamma,
            surface_limit=self.settings.surface_limit * weight,
            intercept=float(self.svr.intercept_[0]),
            deduction_offset=offset * scale,
            projection=projection,
            projection_offset=self.space.center @ projection,
            surface_mean=self.space.mean,
            surface_scale=self.space.scale / weight,
            support_vectors=self.svr.support_vectors_,
            dual_coefficients=self.svr.dual_coef_[0],
            split_features=features,
            split_thresholds=thresholds,
            leaf_values=leaves * rate * scale,
            probe_embedding=probe_embedding.astype(np.float64),
            scale=self.scale,
        )


def read_scored_rows(path: Path, score_key: str = "quality_score") -> list[ScoredRow]:
    """Read rows with their real scores; rows with a blank question or answer are left out.

    :param path: JSON Lines, or another file format that `rows_of_file` reads, with `instruction`, `output`, the score,
        and optionally `input` and `kind`.
    :param score_key: field of the score, a number from 1 to 6.
    :raises DatasetError: if the file cannot be read, a line lacks a field, or too few rows remain.
    """
    try:
        rows = [_scored_row(fields, f"'{path}' line {number}", score_key) for number, fields in rows_of_file(path)]
    except OSError as error:
        raise DatasetError(f"The scored rows '{path}' could not be read ({error}).") from error
    except UnreadableFileError as error:
        if error.where:
            wrong = "is not a JSON object" if error.is_json else f"is not JSON ({error.reason})"
            raise DatasetError(f"'{path}' {error.where} {wrong}.") from error
        raise DatasetError(f"The scored rows could not be read: '{path}' {error.reason}.") from error
    usable = [row for row in rows if row.sample.query.strip() and row.sample.output.strip()]
    if len(usable) < MIN_ROWS:
        raise DatasetError(f"'{path}' has {len(usable)} usable scored rows; at least {MIN_ROWS} are needed.")
    return usable


def draw_rows(rows: Sequence[ScoredRow], seed: int = 42, most: int = MAX_ROWS) -> list[ScoredRow]:
    """Return the rows in their order; if there are too many, a random part of them.

    :param rows: the scored rows.
    :param seed: seed of the draw.
    :param most: most rows to return.
    """
    if len(rows) <= most:
        return list(rows)
    return [rows[number] for number in sorted(random.Random(seed).sample(range(len(rows)), most))]


def build_training_data(
    rows: Sequence[ScoredRow],
    encoder: Encoder,
    *,
    corrupted_share: float = 0.1,
    seed: int = 42,
    batch_size: int | None = None,
    scale: ScoreScale | None = None,
    unit: float = 1.0,
    deducts: bool = True,
) -> TrainingData:
    """Embed rows and spoiled copies of some of them, each distinct text once.

    :param rows: n scored rows.
    :param encoder: the embedding model.
    :param corrupted_share: share of the rows that are copied and spoiled, once per kind, in [0, 1].
    :param seed: seed of the choice of rows and of their spoiling.
    :param batch_size: most texts that are embedded at the same time; see `Encoder.encode`.
    :param scale: scale of the scores; None: the scale of the Deita scorers.
    :param unit: see `TrainingData`.
    :param deducts: see `TrainingData`.
    """
    rng = random.Random(seed)
    samples = [row.sample for row in rows]
    copies = [spoil_rows(samples, kind, round(corrupted_share * len(rows)), rng) for kind in KINDS]
    everything = samples + [sample for copy in copies for sample in copy.samples]
    features = row_features(everything, encoder, batch_size)
    corruptions, start = [], len(rows)
    for copy in copies:
        stop = start + len(copy.samples)
        corruptions.append(
            Corruption(copy.kind, np.array(copy.sources, int), np.array(copy.donors, int), features[start:stop])
        )
        start = stop
    return TrainingData(
        rows=rows,
        targets=np.array([row.score for row in rows]),
        features=features[: len(rows)],
        corruptions=corruptions,
        embedding_model=encoder.model,
        probe_embedding=encoder.encode([PROBE_TEXT])[0],
        scale=scale or ScoreScale(),
        unit=unit,
        deducts=deducts,
    )


def choose_settings(
    data: TrainingData, train: NDArray[np.int64] | None = None, *, seed: int = 42, folds: int = INNER_FOLDS
) -> TrainingSettings:
    """Choose the settings of the regression by cross-validation within some rows, one setting after the other.

    :param data: rows with features.
    :param train: rows to use; None for all. Other rows have no influence.
    :param seed: of the split.
    :param folds: number of folds, >= 2.
    :return: the settings with the highest Spearman correlation on held-out rows; the given ones if none is higher.
    """
    train = np.arange(len(data.rows)) if train is None else train
    parts = [(fitted, held_out, FeatureSpace(data.features[fitted])) for fitted, held_out in split(train, folds, seed)]

    def correlation(settings: TrainingSettings) -> float:
        real, predicted = [], []
        for fitted, held_out, space in parts:
            real.append(data.targets[held_out])
            predicted.append(_fit_quality(data, settings, fitted, space).quality(data.features[held_out]))
        return spearman(np.concatenate(real), np.concatenate(predicted))

    best = TrainingSettings()
    highest = correlation(best)
    for name, values in SEARCH.items():
        for settings in [_changed(best, name, value) for value in values if value != getattr(best, name)]:
            reached = correlation(settings)
            if reached > highest:
                best, highest = settings, reached
    return best


def fit(
    data: TrainingData, settings: TrainingSettings | None = None, train: NDArray[np.int64] | None = None
) -> FittedRegressor:
    """Fit regression and deduction.

    :param data: rows with features.
    :param settings: None for the defaults.
    :param train: rows to use; None for all. A spoiled copy is used only if its source and donor both are.
    """
    from sklearn.ensemble import GradientBoostingRegressor

    settings = settings or TrainingSettings()
    train = np.arange(len(data.rows)) if train is None else train
    fitted = _fit_quality(data, settings, train, FeatureSpace(data.features[train]))
    if not data.deducts:
        return fitted
    believed = np.zeros(len(data.rows))
    believed[train] = fitted.quality(data.features[train])
    features, targets = [data.features[train]], [np.zeros(len(train))]
    for corruption in data.corruptions:
        mask = corruption.within(train)
        if corruption.kind in MARGINS and mask.any():
            excess = fitted.quality(corruption.features[mask]) - corruption.compared_with(believed)[mask]
            features.append(corruption.features[mask])
            targets.append(np.maximum(excess + MARGINS[corruption.kind] * data.unit, 0.0))
    fitted.trees = GradientBoostingRegressor(
        n_estimators=settings.trees,
        max_depth=settings.tree_depth,
        learning_rate=settings.learning_rate,
        subsample=0.5,
        max_features=0.3,
        min_samples_leaf=min(10, max(1, len(train) // 20)),
        random_state=0,
    )
    table, points = np.vstack(features), np.concatenate(targets)
    weights = np.where(np.arange(len(points)) < len(train), settings.honest_weight, 1.0)
    fitted.trees.fit(table[:, fitted.space.width :], points, sample_weight=weights)
    return fitted


def describe_training(data: TrainingData, model: DistilledModel, train: NDArray[np.int64] | None = None) -> TrainedOn:
    """Describe the training rows of a model, so that it can recognise rows that are unlike them.

    :param data: rows with features.
    :param model: the exported model.
    :param train: rows that it was fitted on; None for all.
    """
    train = np.arange(len(data.rows)) if train is None else train
    return TrainedOn.of([data.rows[row].sample for row in train], model.distances_of_training(data.features[train]))


def split(rows: NDArray[np.int64], folds: int, seed: int) -> Iterator[tuple[NDArray[np.int64], NDArray[np.int64]]]:
    """Yield (rows to fit on, rows held out) of each fold."""
    from sklearn.model_selection import KFold

    for fitted, held_out in KFold(folds, shuffle=True, random_state=seed).split(rows):
        yield rows[fitted], rows[held_out]


def save(
    model: DistilledModel,
    folder: Path,
    metrics: Mapping[str, Any] | None = None,
    settings: TrainingSettings | None = None,
    made_from: Mapping[str, Any] | None = None,
    trained_on: TrainedOn | None = None,
) -> None:
    """Write `weights.npz` and `config.json`; create the folder if it is missing.

    :param model: the exported model.
    :param folder: folder to write to. Older weights in it are overwritten; other files stay.
    :param metrics: figures to keep beside the weights.
    :param settings: of the fit, to keep beside the weights.
    :param made_from: origin of the scores, to keep beside the weights.
    :param trained_on: description of the training rows, with which the scorer compares rows; None: it scores every row.
    """
    folder.mkdir(parents=True, exist_ok=True)
    # Most arrays are float32. Dual coefficients stay in float64 because they cancel each other out in the kernel sum,
    # and thresholds because a feature may equal one exactly.
    exact = {"dual_coefficients", "surface_mean", "surface_scale", "split_thresholds"}
    stored = {
        name: array if name in exact else array.astype(np.float32)
        for name, array in ((name, getattr(model, name)) for name in ARRAY_NAMES)
    }
    np.savez_compressed(folder / WEIGHTS_FILE, **stored)
    config = {
        "format_version": FORMAT_VERSION,
        "model_kind": MODEL_KIND,
        **{name: getattr(model, name) for name in SETTING_NAMES},
        "dense_features": list(DENSE_FEATURE_NAMES),
        "support_vectors": len(model.dual_coefficients),
        SCALE_KEY: [model.scale.low, model.scale.high],
        NO_RATIO_KEY: model.scale.no_ratio,
        TRAINED_ON_KEY: trained_on.record() if trained_on else None,
        "training_settings": asdict(settings) if settings else {},
        "metrics": dict(metrics or {}),
        "made_from": dict(made_from or {}),
    }
    (folder / CONFIG_FILE).write_text(json.dumps(config, indent=2, ensure_ascii=False) + "\n", encoding="utf-8")


def _principal_axes(centered: NDArray[np.float64]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
    """Return the (d, r) axes of greatest variance, in order, and the (r,) variances along them."""
    rows, width = centered.shape
    if rows <= width:
        _, singular, axes = np.linalg.svd(centered, full_matrices=False)
        return axes[: rows - 1].T, singular[: rows - 1] ** 2 / rows
    # For many rows, the covariance is the smaller matrix.
    variances, vectors = np.linalg.eigh(centered.T @ centered / rows)
    return vectors[:, ::-1], np.maximum(variances[::-1], 0.0)


def _scored_row(fields: Mapping[str, Any], where: str, score_key: str) -> ScoredRow:
    missing = [name for name in ("instruction", "output", score_key) if fields.get(name) is None]
    if missing:
        raise DatasetError(
            f"{where} has no {' and no '.join(map(repr, missing))}; it has "
            f"{', '.join(map(repr, fields)) or 'no fields'}. Every row needs 'instruction', 'output' and its score, "
            f"which --score-key names."
        )
    given, scale = fields[score_key], ScoreScale()
    try:
        score = float(given)
    except (TypeError, ValueError, OverflowError) as error:
        raise DatasetError(f"{where} has {score_key} {given!r:.80}, which is not a number.") from error
    if isinstance(given, bool):
        raise DatasetError(f"{where} has {score_key} {given!r}, which is not a number.")
    if not scale.low <= score <= scale.high:
        raise DatasetError(
            f"{where} has {score_key} {score:g}, outside {scale.low:g} to {scale.high:g}; rescale the scores first."
        )
    sample = Sample(str(fields["instruction"]), str(fields.get("input") or ""), str(fields["output"]))
    return ScoredRow(sample, score, str(fields.get("kind") or ""))


def _changed(settings: TrainingSettings, name: str, value: Any) -> TrainingSettings:
    return replace(settings, **{name: value})


def _fit_quality(
    data: TrainingData, settings: TrainingSettings, train: NDArray[np.int64], space: FeatureSpace
) -> FittedRegressor:
    from sklearn.svm import SVR

    # Fitted to real rows alone: with spoiled copies, the rank correlation on honest answers falls.
    svr = SVR(
        kernel="rbf",
        C=settings.cost * data.unit,
        gamma=settings.gamma,
        epsilon=settings.epsilon * data.unit,
        tol=1e-3 * data.unit,
        cache_size=500,
    )
    svr.fit(space.points(data.features[train], settings), data.targets[train])
    return FittedRegressor(space, svr, None, settings, data.scale, data.unit)


def _complete_trees(boosted: Any, depth: int) -> tuple[NDArray[np.float64], NDArray[np.float64], NDArray[np.float64]]:
    """Return scikit-learn's trees as complete binary trees; a leaf above the last level sends every row to the left."""
    count, inner = len(boosted.estimators_), 2**depth - 1
    features = np.zeros((count, inner))
    thresholds = np.full((count, inner), float(np.finfo(np.float32).max))
    leaves = np.zeros((count, inner + 1))
    for number, estimator in enumerate(boosted.estimators_[:, 0]):
        tree = estimator.tree_
        stands_at = {0: 0}
        for node in range(inner):
            original = stands_at[node]
            left, right = tree.children_left[original], tree.children_right[original]
            if left == -1:
                left = right = original
            else:
                features[number, node], thresholds[number, node] = tree.feature[original], tree.threshold[original]
            stands_at[2 * node + 1], stands_at[2 * node + 2] = left, right
        leaves[number] = [tree.value[stands_at[inner + leaf]].item() for leaf in range(inner + 1)]
    return features, thresholds, leaves
