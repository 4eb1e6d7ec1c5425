"""A small regressor that predicts the scores of a costly scorer, evaluated with NumPy on the CPU.

It has two parts. A support vector regression, fitted to real scores, reads the embeddings of question and answer,
surface features and the cohesion of the answer's sentences. Boosted trees read the features alone; they predict how
many points come from padding, repetition or foreign text, and these are deducted. `python -m mergeit_ops distill`
trains weights of this form.
"""

from __future__ import annotations

import hashlib
import json
import math
import zipfile
import zlib
from collections import Counter
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, field
from pathlib import Path
from typing import TYPE_CHECKING, Any, ClassVar

import numpy as np
from loguru import logger

from mergeit_ops.constraints import FLAG, OPTIONAL_TEXT, TEXT, Constraint, Number, OneOf, check
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.cohesion import COHESION_NAMES, cohesion
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.core.scoring.surface_features import FEATURE_NAMES, surface_features
from mergeit_ops.core.scoring.task_features import TASK_FEATURE_NAMES, task_features
from mergeit_ops.core.text.counts import agree, many
from mergeit_ops.core.text.sentences import split_sentences
from mergeit_ops.embedding.defaults import DTYPES
from mergeit_ops.errors import RecipeError, ScorerError
from mergeit_ops.llm.model_files import model_identity
from mergeit_ops.scorers.familiarity import UNLIKE_TRAINING, TrainedOn
from mergeit_ops.scorers.text import blank_reason, encodable

if TYPE_CHECKING:
    from numpy.typing import NDArray

    from mergeit_ops.embedding.encoder import Encoder

SHIPPED_WEIGHTS = Path(__file__).with_name("distilled_weights")
"""Folder of the weights in the package (CC BY-NC 4.0; see the model card in it)."""

FORMAT_VERSION = 2
MODEL_KIND = "rbf_svr_less_trees"
WEIGHTS_FILE = "weights.npz"
CONFIG_FILE = "config.json"
SCALE_KEY, NO_RATIO_KEY, TRAINED_ON_KEY = "score_scale", "no_ratio", "trained_on"

_OLDER_FEATURE_NAMES = ("query_output_cosine", *FEATURE_NAMES, *COHESION_NAMES)
DENSE_FEATURE_NAMES: tuple[str, ...] = (*_OLDER_FEATURE_NAMES, *TASK_FEATURE_NAMES)
"""Names of the feature columns after the two embeddings. Older weights read only the first ones."""

PROBE_TEXT = "Describe the water cycle in two sentences."
"""Text whose stored embedding shows whether the encoder is the one that the weights were trained with."""

_CONSTRAINTS: Mapping[str, Constraint] = {
    "path": OPTIONAL_TEXT,
    "embedding_model": OPTIONAL_TEXT,
    "device": TEXT,
    "batch_size": Number(low=1, integer=True, optional=True),
    "embedding_dtype": OneOf(DTYPES),
    "unfamiliar": OneOf(("no_score", "score")),
    "deduction": FLAG,
}
_MIN_PROBE_COSINE = 0.99
_SAME_ROW = 1e-3  # a squared distance below this is 0 except for rounding
_ROWS_PER_BLOCK = 1024
_MAX_SENTENCES = 200  # of an answer, evenly spread: the pairwise cosines of a whole book would fill the memory


def row_features(samples: Sequence[Sample], encoder: Encoder, batch_size: int | None = None) -> NDArray[np.float32]:
    """Turn rows into the features of the regressor. Each distinct text is embedded once.

    :param samples: n rows.
    :param encoder: encoder to unit vectors of d dimensions. Only the surface features see the text beyond its window.
    :param batch_size: most texts that are embedded at the same time, >= 1; see `Encoder.encode`.
    :return: (n, 2 d + len(DENSE_FEATURE_NAMES)) float32: embedding of the query, embedding of the output,
        their cosine, surface features, cohesion of the output's sentences, kind of the task and style of the output.
    """
    cleaned = [
        Sample(encodable(sample.instruction), encodable(sample.input), encodable(sample.output)) for sample in samples
    ]
    sentences = [_sentences(sample.output) for sample in cleaned]
    queries, outputs = [sample.query for sample in cleaned], [sample.output.strip() for sample in cleaned]
    # In one call, an answer of one sentence is embedded only once, and batches fill up.
    texts = dict.fromkeys([*queries, *outputs, *(sentence for part in sentences for sentence in part)])
    row_of = {text: row for row, text in enumerate(texts)}
    vectors = encoder.encode(list(texts), batch_size=batch_size)
    query = vectors[[row_of[text] for text in queries]]
    output = vectors[[row_of[text] for text in outputs]]
    cosine = np.sum(query * output, axis=1, keepdims=True)
    hold_together = [
        cohesion(query[number], vectors[[row_of[text] for text in part]], _word_counts(part))
        for number, part in enumerate(sentences)
    ]
    table = np.array(hold_together, dtype=np.float32).reshape(len(samples), len(COHESION_NAMES))
    return np.hstack([query, output, cosine, surface_features(cleaned), table, task_features(cleaned)])


def _blocks(rows: int) -> list[slice]:
    return [slice(start, start + _ROWS_PER_BLOCK) for start in range(0, rows, _ROWS_PER_BLOCK)]


def _sentences(output: str) -> list[str]:
    sentences = split_sentences(output) or [""]
    if len(sentences) <= _MAX_SENTENCES:
        return sentences
    return [sentences[len(sentences) * number // _MAX_SENTENCES] for number in range(_MAX_SENTENCES)]


def _word_counts(sentences: Sequence[str]) -> NDArray[np.float64]:
    return np.array([max(1, len(sentence.split())) for sentence in sentences], dtype=np.float64)


@dataclass(frozen=True)
class ScoreScale:
    """The scores that a regressor was fitted to; by default those of the Deita scorers.

    :param low: lowest.
    :param high: highest, above the lowest.
    :param no_ratio: why the scores of two rows cannot be compared by their ratio; empty if they can.
    """

    low: float = 1.0
    high: float = 6.0
    no_ratio: str = ""

    def clipped(self, predictions: NDArray[np.float64]) -> NDArray[np.float64]:
        """Return predictions within the scale."""
        return np.clip(predictions, self.low, self.high)


@dataclass(frozen=True)
class DistilledModel:
    """The fitted regressor as plain arrays: a projection, a scaling, an RBF support vector regression, and trees.

    :param embedding_model: name of the model whose embeddings it takes.
    :param embedding_width: d, dimensions of one embedding.
    :param gamma: width of the kernel exp(-gamma * squared distance), > 0.
    :param surface_limit: largest absolute value of a scaled dense feature, > 0. Larger values are clipped, so that an
        odd row stays in the region that the regressor knows.
    :param intercept: constant added to the kernel sum.
    :param projection: (2 d, p) projection of the two embeddings.
    :param projection_offset: (p,) offset, subtracted after the projection.
    :param surface_mean: (s,) subtracted from the dense features.
    :param surface_scale: (s,) divides the dense features, > 0.
    :param support_vectors: (m, p + s).
    :param dual_coefficients: (m,).
    :param split_features: (t, 2^depth - 1) dense feature that each inner node of each tree reads; node i has the
        children 2 i + 1 (not above the threshold) and 2 i + 2.
    :param split_thresholds: (t, 2^depth - 1).
    :param leaf_values: (t, 2^depth) points that each leaf adds to the deduction.
    :param deduction_offset: constant added to the sum over the trees; a deduction below 0 counts as 0.
    :param probe_embedding: (d,) embedding of `PROBE_TEXT` at training time.
    :param scale: scale of the scores.
    """

    embedding_model: str
    embedding_width: int
    gamma: float
    surface_limit: float
    intercept: float
    deduction_offset: float
    projection: NDArray[np.float64]
    projection_offset: NDArray[np.float64]
    surface_mean: NDArray[np.float64]
    surface_scale: NDArray[np.float64]
    support_vectors: NDArray[np.float64]
    dual_coefficients: NDArray[np.float64]
    split_features: NDArray[np.float64]
    split_thresholds: NDArray[np.float64]
    leaf_values: NDArray[np.float64]
    probe_embedding: NDArray[np.float64]
    scale: ScoreScale = field(default_factory=ScoreScale)

    def predict(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Predict scores, not yet clipped to their scale.

        :param features: (n, 2 d + s), as `row_features` gives them.
        :return: (n,) predictions.
        """
        return self.evaluate(features)[0]

    def evaluate(
        self, features: NDArray[np.float32], *, deduction: bool = True
    ) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        """Predict scores, not yet clipped to their scale, and return how far each row is from the training rows.

        :param features: (n, 2 d + s), as `row_features` gives them.
        :param deduction: whether the deduction is taken off.
        :return: (n,) predictions; (n,) distances to the nearest support vector.
        """
        predictions, nearest = np.zeros(len(features)), np.zeros(len(features))
        for rows in _blocks(len(features)):
            squared = self._squared_distances(features[rows])
            quality = np.exp(-self.gamma * squared) @ self.dual_coefficients + self.intercept
            if deduction:
                quality -= self._deduction(features[rows, 2 * self.embedding_width :])
            predictions[rows] = quality
            nearest[rows] = np.sqrt(squared.min(axis=1, initial=np.inf))
        return predictions, nearest

    def distances_of_training(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        """Return the distance of each training row to the nearest support vector that is not the row itself.

        :param features: (n, 2 d + s), as `row_features` gave them.
        :return: (n,) distances.
        """
        nearest = np.zeros(len(features))
        for rows in _blocks(len(features)):
            squared = self._squared_distances(features[rows])
            nearest[rows] = np.sqrt(squared.min(axis=1, initial=np.inf, where=squared > _SAME_ROW))
        return nearest

    def _squared_distances(self, features: NDArray[np.float32]) -> NDArray[np.float64]:
        width = 2 * self.embedding_width
        projected = features[:, :width].astype(np.float64) @ self.projection - self.projection_offset
        dense = features[:, width : width + len(self.surface_mean)].astype(np.float64)
        scaled = (dense - self.surface_mean) / self.surface_scale
        points = np.hstack([projected, np.clip(scaled, -self.surface_limit, self.surface_limit)])
        squared_norms = np.sum(points**2, axis=1)[:, None] + np.sum(self.support_vectors**2, axis=1)
        return np.maximum(squared_norms - 2.0 * points @ self.support_vectors.T, 0.0)

    def _deduction(self, dense: NDArray[np.float32]) -> NDArray[np.float64]:
        trees = np.arange(len(self.leaf_values))
        looked_at = self.split_features.astype(np.int64)
        node = np.zeros((len(dense), len(trees)), dtype=np.int64)
        rows = np.arange(len(dense))[:, None]
        for _ in range(int(np.log2(self.leaf_values.shape[1]))):
            above = dense[rows, looked_at[trees, node]] > self.split_thresholds[trees, node]
            node = 2 * node + 1 + above
        leaf = node - self.split_features.shape[1]
        return np.maximum(self.leaf_values[trees, leaf].sum(axis=1) + self.deduction_offset, 0.0)


ARRAY_NAMES: tuple[str, ...] = (
    "projection",
    "projection_offset",
    "surface_mean",
    "surface_scale",
    "support_vectors",
    "dual_coefficients",
    "split_features",
    "split_thresholds",
    "leaf_values",
    "probe_embedding",
)
_SETTING_TYPES: dict[str, type | tuple[type, ...]] = {
    "embedding_model": str,
    "embedding_width": int,
    "gamma": (int, float),
    "surface_limit": (int, float),
    "intercept": (int, float),
    "deduction_offset": (int, float),
}
SETTING_NAMES: tuple[str, ...] = tuple(_SETTING_TYPES)


def load_model(folder: Path) -> DistilledModel:
    """Read a folder of weights; nothing in it is executed.

    :param folder: holds `weights.npz` and `config.json`.
    :raises ScorerError: if a file is missing, unreadable, of another format version or inconsistent.
    """
    config = _read_config(folder)
    return _checked_model(folder, config, _read_arrays(folder))


class DistilledScorer:
    """Scores rows with a small regressor trained to predict the Deita quality score (1 to 6), or the score of your own
    judge.

    It uses no language model: it sees topic, length, variety, repetition and form, but not whether an answer is true.
    It runs on the CPU, and embedding is nearly all of its cost. The model loads at the first `score`.

    :param path: folder with `weights.npz` and `config.json`; None for the shipped weights.
    :param embedding_model: None for the model named in the weights. Otherwise the same name, or a local folder with a
        copy of this model.
    :param device: where texts are embedded: `cpu`, `cuda` or `cuda:N`.
    :param batch_size: most texts that are embedded at the same time on a CPU, >= 1; None: one batch per core. It does
        not change any score.
    :param embedding_dtype: number format of the embedding model's multiplications: `float32`, `bfloat16`, or `auto`,
        which takes bfloat16 if the device has instructions for it. Scores in bfloat16 differ from those in float32 by
        0.001 on average, and by up to 0.1 if a tree takes another branch. With both, the score of a row does not depend
        on other rows.
    :param unfamiliar: what happens to a row that is unlike the training rows, which a record in the folder of the
        weights describes. `no_score`: the row gets no score, with a reason, so that the gate does not accept a merge on
        a meaningless number. `score`: it gets a score anyway. In both cases, these rows are counted by reason, and a
        warning names the counts. Weights without the record score every row.
    :param deduction: whether padding, repetition, shuffled words and text of other rows cost points. Merges may have
        any of these. Without the deduction, the order of real rows is closer to that of the real scores.
    :raises RecipeError: if a parameter cannot work.
    :raises ScorerError: if the folder lacks readable weights.
    """

    measures: ClassVar[Mapping[str, str]] = {"quality": "distilled_quality_score"}

    def __init__(
        self,
        *,
        path: str | None = None,
        embedding_model: str | None = None,
        device: str = "cpu",
        batch_size: int | None = None,
        embedding_dtype: str = "auto",
        unfamiliar: str = "no_score",
        deduction: bool = True,
    ) -> None:
        check(_CONSTRAINTS, locals(), "distilled")
        self.path = path
        self.device = device
        self.batch_size = None if batch_size is None else int(batch_size)
        self.embedding_dtype = embedding_dtype
        self.unfamiliar = unfamiliar
        self.deduction = deduction
        self._folder = SHIPPED_WEIGHTS if path is None else Path(path)
        config = _read_config(self._folder)
        trained_on = str(config["embedding_model"])
        self._scale = _scale_of(config)
        self.no_ratio = self._scale.no_ratio
        self.trained_on = _trained_on(config)
        self._unfamiliar: Counter[str] = Counter()
        self._has_said_no_record = False
        if not (self._folder / WEIGHTS_FILE).is_file():
            raise ScorerError(f"The distilled scorer's folder '{self._folder}' has no {WEIGHTS_FILE}.")
        self.embedding_model = _checked_embedding_model(embedding_model, trained_on)
        self._model: DistilledModel | None = None

    @property
    def scale(self) -> tuple[float, float]:
        """Lowest and highest score."""
        return self._scale.low, self._scale.high

    def identity(self) -> Mapping[str, Any]:
        """See `NamedScorer`."""
        from mergeit_ops.embedding.precision import takes_bfloat16

        files = b"".join((self._folder / name).read_bytes() for name in (CONFIG_FILE, WEIGHTS_FILE))
        return {
            "weights": hashlib.sha256(files).hexdigest(),
            **model_identity(self.embedding_model, {}),
            "bfloat16": takes_bfloat16(self.device, self.embedding_dtype),
            "unfamiliar": self.unfamiliar,
            "deduction": self.deduction,
        }

    def score(self, samples: Sequence[Sample]) -> list[Score]:
        """Score rows; the score of a row depends on the rows around it only by the noise of `embedding_dtype`.

        :param samples: n rows.
        :return: n scores on the scale of the weights, 1 to 6 for the shipped ones. A row has `empty_response` if its
            response has no letter and no digit, and `empty_instruction` if its question is blank. Depending on
            `unfamiliar`, a row unlike the training rows has no score but `other_language`, `reasoning` (a reasoning
            trace in the response) or `unlike_training` (far from all training rows in length, form and topic).
        :raises ScorerError: if the weights are damaged or belong to another embedding model.
        :raises EmbeddingError: if the embedding model cannot be loaded.
        """
        reasons = [blank_reason(sample.query, sample.output) for sample in samples]
        unlike: dict[int, str] = {}
        if self.trained_on is not None:
            readable = [row for row, reason in enumerate(reasons) if reason is None]
            unlike = {row: why for row in readable if (why := self.trained_on.unfamiliar_texts(samples[row]))}
        elif not self._has_said_no_record:
            self._has_said_no_record = True
            logger.warning(
                f"The distilled weights in '{self._folder}' do not record what they were trained on, so rows that are "
                "unlike it get a score as well. Train new weights with `distill` to have a record."
            )
        if self.unfamiliar == "no_score":
            reasons = [reason or unlike.get(row) for row, reason in enumerate(reasons)]
        scores = [Score.missing(reason or "not_scored") for reason in reasons]
        rows = [row for row, reason in enumerate(reasons) if reason is None]
        if rows:
            predictions, distances = self._evaluated([samples[row] for row in rows])
            for row, prediction, distance in zip(rows, predictions, distances, strict=True):
                scores[row] = Score(value=float(prediction))
                if self.trained_on is not None and row not in unlike and self.trained_on.is_far(distance):
                    unlike[row] = UNLIKE_TRAINING
                    if self.unfamiliar == "no_score":
                        scores[row] = Score.missing(UNLIKE_TRAINING)
        self._unfamiliar.update(unlike.values())
        return scores

    def finish(self) -> None:
        """See `ReportingScorer`. Warns of rows that are unlike the training rows."""
        if self._unfamiliar and self.trained_on is not None:
            counts = ", ".join(f"{reason} {count:,}" for reason, count in sorted(self._unfamiliar.items()))
            number = self._unfamiliar.total()
            got = "no score" if self.unfamiliar == "no_score" else "a score that says little"
            logger.warning(
                f"The distilled scorer: {many(number, 'row')} {agree(number, 'is', 'are')} unlike those that its "
                f"weights were trained on, and {agree(number, 'has', 'have')} {got} ({counts}). Trained on: "
                f"{self.trained_on.sentence()}"
            )

    def figures(self) -> Mapping[str, Any]:
        """See `ReportingScorer`: how many rows were unlike the training rows, by reason."""
        return {"unfamiliar": dict(self._unfamiliar)} if self._unfamiliar else {}

    def _evaluated(self, samples: Sequence[Sample]) -> tuple[NDArray[np.float64], NDArray[np.float64]]:
        # Imported here because it loads torch, which is too slow for building an operator.
        from mergeit_ops.embedding import load_encoder

        encoder = load_encoder(self.embedding_model, self.device, self.embedding_dtype)
        if self._model is None:
            self._model = self._load_model_for(encoder)
        predictions, distances = self._model.evaluate(
            row_features(samples, encoder, self.batch_size), deduction=self.deduction
        )
        return self._model.scale.clipped(predictions), distances

    def _load_model_for(self, encoder: Encoder) -> DistilledModel:
        model = load_model(self._folder)
        probe = encoder.encode([PROBE_TEXT])[0].astype(np.float64)
        if probe.shape != model.probe_embedding.shape or probe @ model.probe_embedding < _MIN_PROBE_COSINE:
            raise ScorerError(
                f"The embedding model '{self.embedding_model}' is not the one the distilled weights in "
                f"'{self._folder}' were trained with ('{model.embedding_model}')."
            )
        return model


def _checked_embedding_model(asked: str | None, trained_on: str) -> str:
    if asked is None:
        return trained_on
    same_name = asked in {trained_on, trained_on.rsplit("/", 1)[-1]}
    if not same_name and not Path(asked).is_dir():
        raise RecipeError(
            f"distilled: embedding_model must be '{trained_on}', which the weights were trained with, or a local "
            f"folder with a copy of it, got {asked!r}."
        )
    return asked


def _read_config(folder: Path) -> dict[str, Any]:
    if not folder.is_dir():
        raise ScorerError(f"The distilled scorer's folder '{folder}' does not exist.")
    file = folder / CONFIG_FILE
    try:
        config = json.loads(file.read_text(encoding="utf-8"))
    except (OSError, ValueError) as error:
        raise ScorerError(f"'{file}' of the distilled scorer could not be read ({error}).") from error
    if not isinstance(config, dict):
        raise ScorerError(f"'{file}' of the distilled scorer must hold a JSON object.")
    expected: dict[str, Any] = {
        "format_version": FORMAT_VERSION,
        "model_kind": MODEL_KIND,
    }
    if config.get("dense_features") != list(_OLDER_FEATURE_NAMES):
        expected["dense_features"] = list(DENSE_FEATURE_NAMES)
    for key, value in expected.items():
        if config.get(key) != value:
            raise ScorerError(
                f"'{file}' has {key} {config.get(key)!r}, but this version of the distilled scorer reads "
                f"{value!r} only; train the weights again."
            )
    for key, types in _SETTING_TYPES.items():
        if isinstance(config.get(key), bool) or not isinstance(config.get(key), types):
            raise ScorerError(f"'{file}' of the distilled scorer lacks a valid '{key}'.")
    try:
        _scale_of(config)
    except (TypeError, ValueError) as error:
        raise ScorerError(f"'{file}' of the distilled scorer has no valid '{SCALE_KEY}' ({error}).") from error
    try:
        _trained_on(config)
    except (KeyError, TypeError, ValueError) as error:
        raise ScorerError(f"'{file}' of the distilled scorer has no valid '{TRAINED_ON_KEY}' ({error}).") from error
    return config


def _trained_on(config: Mapping[str, Any]) -> TrainedOn | None:
    """Return the record of the training rows; None for older weights without it."""
    return TrainedOn.read(config[TRAINED_ON_KEY]) if config.get(TRAINED_ON_KEY) else None


def _scale_of(config: Mapping[str, Any]) -> ScoreScale:
    """Return the scale of the scores; the scale of the Deita scorers if the weights name none."""
    low, high = map(float, config.get(SCALE_KEY, (ScoreScale.low, ScoreScale.high)))
    if not (math.isfinite(low) and math.isfinite(high) and low < high):
        raise ValueError(f"its ends must be finite and the first below the second, got {low:g} and {high:g}")
    return ScoreScale(low, high, str(config.get(NO_RATIO_KEY, "")))


def _read_arrays(folder: Path) -> dict[str, NDArray[np.float64]]:
    file = folder / WEIGHTS_FILE
    try:
        with np.load(file, allow_pickle=False) as stored:
            return {name: np.asarray(stored[name], dtype=np.float64) for name in ARRAY_NAMES}
    except (OSError, ValueError, KeyError, TypeError, EOFError, zlib.error, zipfile.BadZipFile) as error:
        raise ScorerError(f"The weights '{file}' of the distilled scorer could not be read ({error}).") from error


def _checked_model(folder: Path, config: dict[str, Any], arrays: dict[str, NDArray[np.float64]]) -> DistilledModel:
    width, dense = config["embedding_width"], len(config["dense_features"])
    projected = arrays["projection"].shape[-1] if arrays["projection"].ndim == 2 else 0
    vectors = len(arrays["dual_coefficients"]) if arrays["dual_coefficients"].ndim == 1 else 0
    trees, leaves = arrays["leaf_values"].shape if arrays["leaf_values"].ndim == 2 else (0, 1)
    shapes = {
        "projection": (2 * width, projected),
        "projection_offset": (projected,),
        "surface_mean": (dense,),
        "surface_scale": (dense,),
        "support_vectors": (vectors, projected + dense),
        "dual_coefficients": (vectors,),
        "split_features": (trees, leaves - 1),
        "split_thresholds": (trees, leaves - 1),
        "leaf_values": (trees, leaves),
        "probe_embedding": (width,),
    }
    for name, shape in shapes.items():
        if arrays[name].shape != shape or not np.all(np.isfinite(arrays[name])):
            raise ScorerError(
                f"The weights in '{folder}' are damaged: '{name}' must hold finite numbers of shape {shape}, and has "
                f"shape {arrays[name].shape}."
            )
    if np.any(arrays["surface_scale"] <= 0) or config["gamma"] <= 0 or config["surface_limit"] <= 0:
        raise ScorerError(f"The weights in '{folder}' are damaged: scales, gamma and surface_limit must be above 0.")
    looked_at = arrays["split_features"]
    if leaves & (leaves - 1) or np.any(looked_at < 0) or np.any(looked_at >= dense):
        raise ScorerError(f"The weights in '{folder}' are damaged: the trees look at features that do not exist.")
    values: dict[str, Any] = {**{name: config[name] for name in SETTING_NAMES}, **arrays}
    return DistilledModel(**values, scale=_scale_of(config))
