"""What is found as text that a terminal of 100 columns shows."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from mergeit_ops.compare.measures import MEASURES, Measure
from mergeit_ops.compare.measuring import Compared, Figures, FileFigures

__all__ = ["LETTERS", "as_table"]

LETTERS = ascii_uppercase
_WIDTH = 100
_GAP = "  "
_ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}


@dataclass(frozen=True)
class _Line:
    label: str
    cells: list[str]


def as_table(found: Compared) -> str:
    """Return the figures of all files, a column each, then their differences to the first.

    :param found: the files beside each other.
    """
    return "\n".join(_paragraphs(found))


def _paragraphs(found: Compared) -> Iterator[str]:
    files = found.files
    for letter, file in zip(LETTERS, files, strict=False):
        yield f"{letter}  {file.name}"
    if found.reference is not None:
        about = found.reference
        yield (
            f"Reference: {about.path.name}, {about.rows:,} rows, {about.topics} topics "
            f"({about.effective_topics:.1f} effective)"
        )
    yield ""
    yield from _grid(list(LETTERS[: len(files)]), [*_counts(files), *_measures(files, lambda file: file.values)])
    interval = f"{found.confidence:.0%} intervals beneath; * where they leave 0 out"
    others = files[1:]
    names = [f"{letter} - A" for letter in LETTERS[1 : len(files)]]
    if others:
        yield f"\nDifference to A ({interval})"
        yield from _grid(names, list(_measures(others, lambda file: file.differences, signed=True)))
    if found.equal_rows is not None:
        yield f"\nWith {found.equal_rows:,} rows of each: means over random subsets of the larger files"
        yield from _grid(list(LETTERS[: len(files)]), list(_measures(files, lambda file: file.equal_values)))
        yield f"\nDifference to A with {found.equal_rows:,} rows of each"
        yield from _grid(names, list(_measures(others, lambda file: file.equal_differences, signed=True)))


def _counts(files: Sequence[FileFigures]) -> Iterator[_Line]:
    yield _Line("rows", [f"{file.rows:,}" for file in files])
    if any(file.left_out for file in files):
        yield _Line("  left out: no text", [f"{file.left_out:,}" for file in files])
    yield _Line("characters", [f"{sum(file.characters.values()):,}" for file in files])
    for part in files[0].characters:
        per_row = [file.characters[part] / (file.rows - file.left_out) for file in files]
        yield _Line(f"  {part}, per row", [f"{value:,.1f}" for value in per_row])
    if any(file.unscored for file in files):
        yield _Line("could not be scored", [f"{file.unscored:,}" for file in files])
    if any(file.scored + file.unscored < file.rows - file.left_out for file in files if file.scored):
        yield _Line("scored", [f"{file.scored:,}" for file in files])


def _measures(
    files: Sequence[FileFigures], figures_of: Callable[[FileFigures], Figures], *, signed: bool = False
) -> Iterator[_Line]:
    for measure in MEASURES:
        found = [figures_of(file).get(measure.key) for file in files]
        if not any(found):
            continue
        cells = [
            ""
            if interval is None
            else measure.shown(interval.estimate, signed=signed) + _mark(signed, interval.excludes_zero)
            for interval in found
        ]
        yield _Line(measure.name + _ARROWS[measure.better], cells)
        spans = [_span(measure, figures_of(file), signed) for file in files]
        if any(spans):
            yield _Line("", spans)


def _mark(signed: bool, clear: bool) -> str:
    # Digits stay below each other.
    return ("*" if clear else " ") if signed else ""


def _span(measure: Measure, figures: Figures, signed: bool) -> str:
    interval = figures[measure.key]
    return measure.spanned(interval.low, interval.high, signed=signed)


def _grid(names: Sequence[str], lines: Sequence[_Line]) -> Iterator[str]:
    """Yield the lines of a table, and of further ones below it where the columns do not fit beside each other."""
    first = max(len(line.label) for line in lines)
    widths = [max(len(name), *(len(line.cells[i]) for line in lines)) for i, name in enumerate(names)]
    start = 0
    while start < len(names):
        end, room = start + 1, _WIDTH - first - len(_GAP) - widths[start]
        while end < len(names) and room >= len(_GAP) + widths[end]:
            room -= len(_GAP) + widths[end]
            end += 1
        if start:
            yield ""
        for line in [_Line("", list(names)), *lines]:
            cells = [line.cells[i].rjust(widths[i]) for i in range(start, end)]
            yield _GAP.join([line.label.ljust(first), *cells]).rstrip()
        start = end
