"""The results of a comparison as one HTML page, in the layout of the report."""

from __future__ import annotations

from collections.abc import Iterator, Mapping, Sequence
from dataclasses import dataclass
from datetime import datetime, timezone
from itertools import cycle
from typing import Any

from mergeit_ops.compare.measures import BY_KEY, MEASURES, Measure, known
from mergeit_ops.compare.measuring import Compared, Figures, FileFigures
from mergeit_ops.compare.table import LETTERS
from mergeit_ops.core.measures.bootstrap import Interval
from mergeit_ops.report.rendering import plain, render

__all__ = ["page", "verdicts"]

_FOLDER = ("mergeit_ops.compare", "assets")
_COLOURS = 8


@dataclass(frozen=True)
class FileVerdict:
    """A file compared with the first.

    :param letter: letter of the file.
    :param better: measures in which the file is clearly better, with the differences.
    :param worse: measures in which it is clearly worse.
    :param unclear: measures without a clear difference.
    """

    letter: str
    better: list[str]
    worse: list[str]
    unclear: list[str]


def page(found: Compared, made_with: Mapping[str, Any]) -> str:
    """Return the page.

    :param found: results of the comparison.
    :param made_with: names of the models: `embedding_model` and `scorer`; None: not used.
    """
    letters = LETTERS[: len(found.files)]
    context = {
        "f": found,
        "made_with": made_with,
        "compared_on": datetime.now(timezone.utc).strftime("%Y-%m-%d %H:%M UTC"),
        "letters": letters,
        "titles": ", ".join(plain(file.name) for file in found.files[:3]) + (" …" if letters[3:] else ""),
        "verdicts": verdicts(found),
        "conversations": any(file.unit == "conversations" for file in found.files),
        "measures": [measure for measure in MEASURES if measure.key in found.files[0].values],
        "own": _lines(found.files, list(map(found.fair_values, found.files))),
        "differences": _lines(found.files[1:], list(map(found.fair_differences, found.files[1:])), signed=True),
        "whole": _whole(found),
        "plotted": _plotted(found),
    }
    return render(_FOLDER, "compare.html", context, _data(found), ["compare.js"])


def verdicts(found: Compared) -> list[FileVerdict]:
    """Return the comparison of each file with the first, from fair differences.

    :param found: results of the comparison.
    """
    made = []
    for letter, file in zip(LETTERS[1:], found.files[1:], strict=False):
        told = FileVerdict(letter, [], [], [])
        differences = found.fair_differences(file)
        for measure in MEASURES:
            interval = differences.get(measure.key)
            if measure.better is None or interval is None or interval.low is None:
                continue
            text = f"{measure.name} ({measure.shown(interval.estimate, signed=True)})"
            if not interval.excludes_zero:
                told.unclear.append(text)
            elif (interval.estimate > 0) == (measure.better == "higher"):
                told.better.append(text)
            else:
                told.worse.append(text)
        made.append(told)
    return made


@dataclass(frozen=True)
class _MeasureLine:
    measure: Measure
    cells: list[tuple[str, str, bool]]
    """For each file the value, its interval, and whether the interval excludes 0."""


def _lines(files: Sequence[FileFigures], figures: Sequence[Figures], *, signed: bool = False) -> list[_MeasureLine]:
    lines = []
    for measure in MEASURES:
        if not any(measure.key in own for own in figures):
            continue
        intervals = [own[measure.key] for own in figures]
        cells = [
            (
                measure.shown(interval.estimate, signed=signed),
                measure.spanned(interval.low, interval.high, signed=signed),
                interval.excludes_zero,
            )
            for interval in intervals
        ]
        lines.append(_MeasureLine(measure, cells))
    return lines


def _whole(found: Compared) -> list[_MeasureLine]:
    """Return the measures that depend on the number of rows, with all rows; empty if all files have the same number."""
    if found.equal_rows is None:
        return []
    own = [{key: file.values[key] for key in file.equal_values if key in file.values} for file in found.files]
    return _lines(found.files, own)


def _plotted(found: Compared) -> list[Measure]:
    """Return the measures with an interval to plot."""
    fair = list(map(found.fair_values, found.files))
    return [BY_KEY[key] for key in BY_KEY if any(_drawable(own.get(key)) for own in fair)]


def _drawable(interval: Interval | None) -> bool:
    return interval is not None and interval.low is not None


def _data(found: Compared) -> dict[str, Any]:
    return {
        "names": [f"{letter}  {plain(file.name)}" for letter, file in zip(LETTERS, found.files, strict=False)],
        "letters": list(LETTERS[: len(found.files)]),
        "colours": [colour for colour, _ in zip(cycle(range(_COLOURS)), found.files, strict=False)],
        "measures": {measure.key: dict(_dots(found, measure)) for measure in _plotted(found)},
        "quality": None
        if found.quality is None
        else {
            "edges": [round(edge, 5) for edge in found.quality.edges],
            "counts": {
                letter: [round(100 * share, 3) for share in shares]
                for letter, shares in zip(LETTERS, found.quality.shares, strict=False)
            },
        },
    }


def _dots(found: Compared, measure: Measure) -> Iterator[tuple[str, Any]]:
    scale = 100 if measure.share else 1
    intervals = [found.fair_values(file)[measure.key] for file in found.files]
    yield "name", measure.name + (" (%)" if measure.share else "")
    yield "digits", measure.digits
    yield "values", [known(scale * interval.estimate) for interval in intervals]
    yield "low", [None if interval.low is None else scale * interval.low for interval in intervals]
    yield "high", [None if interval.high is None else scale * interval.high for interval in intervals]
