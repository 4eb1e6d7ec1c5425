"""The results of an experiment as one HTML page, in the layout of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from typing import Any

from mergeit_ops.core.training_effect.held_out_losses import MEANS
from mergeit_ops.core.training_effect.verdict import worth_in_words
from mergeit_ops.report.rendering import plain, render
from mergeit_ops.training.encoded_sets import EncodedSet
from mergeit_ops.training.names import CONTROL_NAMES
from mergeit_ops.training.plan import RANDOM_2X, SWAPPED
from mergeit_ops.training.preparing import Prepared
from mergeit_ops.training.summary import SMALL, Found, Measured, SetFound
from mergeit_ops.training.table import power_in_words

__all__ = ["page"]

_FOLDER = ("mergeit_ops.training", "assets")
_DIGITS = 4


@dataclass(frozen=True)
class _Cell:
    """A difference to random rows: its value, its interval, and whether the interval excludes 0."""

    value: str
    span: str
    clear: bool


@dataclass(frozen=True)
class _MeasuredLine:
    """A set or a control: its losses and differences to random rows, for each mean. A set also has its worth."""

    name: str
    losses: list[str]
    differences: list[_Cell]
    worth: list[str]


def page(found: Found, prepared: Prepared, made_with: Mapping[str, Any]) -> str:
    """Return the page.

    :param found: results of the experiment.
    :param prepared: its rows.
    :param made_with: description of the experiment.
    """
    lines = list(_lines(found))
    context = {
        "f": found,
        "titles": ", ".join(plain(one.name) for one in found.sets[:3]) + (" …" if found.sets[3:] else ""),
        "verdicts": [(plain(one.name), one.verdict) for one in found.sets],
        "lines": lines,
        "means": [f"per {name}" for name in MEANS],
        "base": _shown(found.base),
        "random": _shown(found.random),
        "power": list(_power(found)),
        "trained": list(_trained(found)),
        "small": SMALL,
        "files": list(_files(prepared)),
        "made_with": made_with,
    }
    return render(_FOLDER, "train_eval.html", context, _data(found), ["train_eval.js"])


def _measured(found: Found) -> Iterator[tuple[str, Measured, SetFound | None]]:
    for role in (RANDOM_2X, SWAPPED):
        if role in found.controls:
            yield CONTROL_NAMES[role], found.controls[role], None
    for one in found.sets:
        if one.measured is not None:
            yield plain(one.name), one.measured, one


def _lines(found: Found) -> Iterator[_MeasuredLine]:
    for name, measured, one in _measured(found):
        cells = []
        for mean in MEANS:
            own = measured.differences[mean]
            span = "" if own.low is None else f"{own.low:+.{_DIGITS}f} to {own.high:+.{_DIGITS}f}"
            cells.append(_Cell(f"{own.estimate:+.{_DIGITS}f}", span, own.excludes_zero))
        worth = [] if one is None else [one.worth.get(mean) for mean in MEANS]
        told = ["–" if own is None else worth_in_words(own) for own in worth]
        yield _MeasuredLine(name, _shown(measured.losses), cells, told)


def _shown(losses: Mapping[str, float]) -> list[str]:
    return [f"{losses[mean]:.{_DIGITS}f}" for mean in MEANS] if losses else []


def _power(found: Found) -> Iterator[tuple[str, list[str]]]:
    for name, measured, _ in _measured(found):
        if measured.power:
            yield name, [power_in_words(measured.power[mean]) for mean in MEANS]


def _trained(found: Found) -> Iterator[tuple[str, Mapping[str, float]]]:
    for name, measured, _ in _measured(found):
        yield name, measured.facts


def _files(prepared: Prepared) -> Iterator[tuple[str, EncodedSet]]:
    for name, own in prepared.sets:
        yield from own.labelled(name)
    yield from prepared.pools.labelled("pool")
    yield "held out", prepared.held_out


def _data(found: Found) -> dict[str, Any]:
    measured = list(_measured(found))
    return {
        "names": [name for name, _, _ in measured],
        "controls": [one is None for _, _, one in measured],
        "means": {
            mean: {
                "values": [own.differences[mean].estimate for _, own, _ in measured],
                "low": [own.differences[mean].low for _, own, _ in measured],
                "high": [own.differences[mean].high for _, own, _ in measured],
            }
            for mean in MEANS
        },
    }
