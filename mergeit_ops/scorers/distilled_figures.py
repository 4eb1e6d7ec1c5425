"""How far a distilled scorer can be trusted, measured on rows that were not used to make it."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING, Any

import numpy as np

from mergeit_ops.core.measures.rank_correlation import spearman
from mergeit_ops.scorers.distilled_training import (
    SEARCH,
    FittedRegressor,
    TrainingData,
    TrainingSettings,
    choose_settings,
    fit,
    split,
)

if TYPE_CHECKING:
    from numpy.typing import NDArray

OUTER_FOLDS = 5
GATE_GAMMAS = (0.75, 1.0)

_PARENTS_FROM_NEIGHBOURS = 2
_RANDOM_TRIPLES = 20_000
_PARTS = 10
_FEWEST_OF_A_KIND = 10  # a rank correlation of fewer rows says nothing


def nested_cross_validation(
    data: TrainingData,
    *,
    folds: int = OUTER_FOLDS,
    seed: int = 42,
    choose: Callable[..., TrainingSettings] = choose_settings,
) -> dict[str, Any]:
    """Measure the whole procedure, including the choice of settings, on rows that it never saw.

    For each outer fold, the settings are chosen by cross-validation within the other folds. The regressor is then
    fitted to the other folds and predicts this fold.

    :param data: rows with features.
    :param folds: number of outer folds, >= 2.
    :param seed: seed of the splits, and of the random triples of the gate figures.
    :param choose: function that chooses the settings from rows.
    :return: figures as plain JSON values. `settings`: the settings chosen in each fold. `ranking`: Spearman, mean
        absolute error and mean error (predicted minus real), overall, per kind, and for the tenth of the rows with the
        shortest answers, if these are at least ten rows. `reliability`: the rows grouped by tenths of the prediction.
        `gate`: how often the gate decides alike with predicted and with real scores, at each gamma: for merged rows
        compared with the two original rows with the nearest queries, and for random triples. `corruptions`: mean change
        of the prediction when the answer is spoiled, and the share of rows whose prediction does not fall.
    """
    predicted = np.zeros(len(data.rows))
    spoiled = {corruption.kind: np.zeros(len(corruption.sources)) for corruption in data.corruptions}
    chosen = []
    for number, (train, held_out) in enumerate(split(np.arange(len(data.rows)), folds, seed)):
        settings = choose(data, train, seed=seed + 1 + number)
        chosen.append({name: getattr(settings, name) for name in SEARCH})
        fitted = fit(data, settings, train)
        predicted[held_out] = data.scale.clipped(fitted.predict(data.features[held_out]))
        for corruption in data.corruptions:
            mask = np.isin(corruption.sources, held_out)
            if mask.any():
                spoiled[corruption.kind][mask] = data.scale.clipped(fitted.predict(corruption.features[mask]))
    measured = _figures(data, np.arange(len(data.rows)), predicted, spoiled, seed)
    return {"folds": folds, "seed": seed, "settings": chosen, **measured}


def held_out_figures(
    data: TrainingData, fitted: FittedRegressor, rows: NDArray[np.int64], *, seed: int = 42
) -> tuple[dict[str, Any], NDArray[np.float64]]:
    """Measure a regressor on rows that were not used to make it.

    :param data: rows with features.
    :param fitted: the regressor.
    :param rows: the rows.
    :param seed: seed of the random triples of the gate figures.
    :return: figures as from `nested_cross_validation`, and the (n,) predictions for the rows. A spoiled copy counts
        only if all its texts come from these rows.
    """
    predicted = np.zeros(len(data.rows))
    predicted[rows] = data.scale.clipped(fitted.predict(data.features[rows]))
    spoiled = {one.kind: data.scale.clipped(fitted.predict(one.features)) for one in data.corruptions}
    return {"seed": seed, **_figures(data, rows, predicted, spoiled, seed)}, predicted[rows]


def _figures(
    data: TrainingData,
    rows: NDArray[np.int64],
    predicted: NDArray[np.float64],
    spoiled: Mapping[str, NDArray[np.float64]],
    seed: int,
) -> dict[str, Any]:
    kinds = np.array([data.rows[row].kind for row in rows])
    named = sorted(kind for kind, count in Counter(kinds.tolist()).items() if kind and count >= _FEWEST_OF_A_KIND)
    groups = {"all": rows, **{kind: rows[kinds == kind] for kind in named}}
    lengths = np.array([len(data.rows[row].sample.output) for row in rows])
    if (shortest := rows[lengths <= np.quantile(lengths, 1 / _PARTS)]).size >= _FEWEST_OF_A_KIND:
        groups["shortest answers"] = shortest
    changes = {}
    for one in data.corruptions:
        # A swapped answer is compared with the row that it comes from, every other answer with its own row.
        change = spoiled[one.kind] - predicted[one.donors if one.kind == "swapped" else one.sources]
        changes[one.kind] = change[one.within(rows)]
    return {
        "ranking": {name: _ranking(data.targets[part], predicted[part]) for name, part in groups.items()},
        "reliability": _reliability(data.targets[rows], predicted[rows]),
        "gate": {} if data.scale.no_ratio else _gate_figures(data, rows, kinds, predicted, seed),
        "corruptions": {kind: _corruption_figures(change) for kind, change in changes.items() if len(change)},
    }


def as_tables(figures: dict[str, Any]) -> str:
    """Return the figures of `nested_cross_validation` or `held_out_figures` as Markdown tables."""
    ranking = [
        [name, f"{f['rows']:,}", f"{f['spearman']:.3f}", f"{f['mean_absolute_error']:.3f}", f"{f['mean_error']:+.3f}"]
        for name, f in figures["ranking"].items()
    ]
    reliability = [
        [f"{f['predicted']:.2f}", f"{f['real']:.2f}", f"{f['mean_absolute_error']:.2f}", f"{f['rows']:,}"]
        for f in figures["reliability"]
    ]
    gate = [
        [name.replace("_", " "), gamma.removeprefix("gamma_"), f"{f['pairs']:,}"]
        + [
            f"{f[key]:.1%}" if key in f else "-"
            for key in ("accepted_by_real", "accepted_by_predicted", "agreement", "accepts_found", "rejects_found")
        ]
        for name, gammas in figures["gate"].items()
        for gamma, f in gammas.items()
    ]
    spoiled = [
        [name, f"{f['rows']:,}", f"{f['mean_change']:+.2f}", f"{f['share_not_lower']:.1%}"]
        for name, f in figures["corruptions"].items()
    ]
    of_gate = ["Accepted, real", "Accepted, predicted", "Same decision", "Accepts found", "Rejects found"]
    tables = [
        (["Rows", "Count", "Spearman", "Mean absolute error", "Mean error"], ranking),
        (["Predicted, by tenths", "Real, mean", "Mean absolute error", "Rows"], reliability),
        (["Triples", "Gamma", "Count", *of_gate], gate),
        (["Spoiled answer", "Rows", "Mean change", "Share not lower"], spoiled),
    ]
    return "\n\n".join(_table(head, lines) for head, lines in tables if lines)


def _table(head: list[str], rows: list[list[str]]) -> str:
    widths = [max(len(row[column]) for row in [head, *rows]) for column in range(len(head))]
    lines = [
        "| " + " | ".join(cell.ljust(width) for cell, width in zip(row, widths, strict=True)) + " |"
        for row in [head, *rows]
    ]
    return "\n".join([lines[0], "|" + "|".join("-" * (width + 2) for width in widths) + "|", *lines[1:]])


def _ranking(real: NDArray[np.float64], predicted: NDArray[np.float64]) -> dict[str, float]:
    return {
        "rows": len(real),
        "spearman": _rounded(spearman(real, predicted)),
        "mean_absolute_error": _rounded(np.abs(predicted - real).mean()),
        "mean_error": _rounded((predicted - real).mean()),
    }


def _reliability(real: NDArray[np.float64], predicted: NDArray[np.float64]) -> list[dict[str, float]]:
    return [
        {
            "rows": len(part),
            "predicted": _rounded(predicted[part].mean()),
            "real": _rounded(real[part].mean()),
            "mean_absolute_error": _rounded(np.abs(predicted[part] - real[part]).mean()),
        }
        for part in np.array_split(np.argsort(predicted, kind="stable"), _PARTS)
    ]


def _corruption_figures(change: NDArray[np.float64]) -> dict[str, float]:
    return {
        "rows": len(change),
        "mean_change": _rounded(change.mean()),
        "share_not_lower": _rounded((change >= 0).mean()),
    }


def _gate_figures(
    data: TrainingData, rows: NDArray[np.int64], kinds: NDArray[np.str_], predicted: NDArray[np.float64], seed: int
) -> dict[str, Any]:
    rng = np.random.default_rng(seed)
    pairings = {"random_triples": rows[rng.integers(0, len(rows), (_RANDOM_TRIPLES, 1 + _PARENTS_FROM_NEIGHBOURS))]}
    merged, originals = rows[kinds == "merged"], rows[kinds == "original"]
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
