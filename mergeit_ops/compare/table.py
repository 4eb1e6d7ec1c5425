"""The results of a comparison as text for a terminal with 100 columns."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from string import ascii_uppercase

from mergeit_ops.compare.measures import MEASURES
from mergeit_ops.compare.measuring import Compared, Figures, FileFigures
from mergeit_ops.core.text.counts import many

__all__ = ["LETTERS", "as_table"]

LETTERS = ascii_uppercase
_WIDTH = 100
_GAP = "  "
_ARROWS = {"higher": " ↑", "lower": " ↓", None: ""}


@dataclass(frozen=True)
class _TableLine:
    label: str
    cells: list[str]


def as_table(found: Compared) -> str:
    """Return a column of figures for each file, then the differences to the first file.

    :param found: results of the comparison.
    """
    return "\n".join(_paragraphs(found))


def _paragraphs(found: Compared) -> Iterator[str]:
    files = found.files
    for letter, file in zip(LETTERS, files, strict=False):
        yield f"{letter}  {file.name}"
    if found.reference is not None:
        about = found.reference
        yield (
            f"Reference: {about.path.name}, {many(about.rows, 'row')}, {many(about.topics, 'topic')} "
            f"({about.effective_topics:.1f} effective)"
        )
    yield ""
    names = list(LETTERS[: len(files)])
    yield from _grid(names, list(_counts(files)))
    equal = "" if found.equal_rows is None else f"With {found.equal_rows:,} rows of each if the number matters; "
    yield f"\n{equal}{found.confidence:.0%} intervals"
    yield from _grid(names, list(_measures(files, found.fair_values, found.equal_rows)))
    if others := files[1:]:
        equal = "" if found.equal_rows is None else f" with {found.equal_rows:,} rows of each if the number matters;"
        yield f"\nDifference to A:{equal} {found.confidence:.0%} intervals, * if they exclude 0"
        yield from _grid([f"{name} - A" for name in names[1:]], list(_differences(found, others)))


def _differences(found: Compared, others: Sequence[FileFigures]) -> Iterator[_TableLine]:
    yield from _measures(others, found.fair_differences, None, signed=True)


def _counts(files: Sequence[FileFigures]) -> Iterator[_TableLine]:
    units = sorted({file.unit for file in files})
    yield _TableLine(" or ".join(units), [f"{file.rows:,}" for file in files])
    if any(file.left_out for file in files):
        yield _TableLine("  left out: no text", [f"{file.left_out:,}" for file in files])
    yield _TableLine("characters", [f"{sum(file.characters.values()):,}" for file in files])
    for part in files[0].characters:
        per_row = [file.characters[part] / (file.rows - file.left_out) for file in files]
        yield _TableLine(f"  {part}, per row", [f"{value:,.1f}" for value in per_row])
    if any(file.unscored for file in files):
        yield _TableLine("could not be scored", [f"{file.unscored:,}" for file in files])
    if any(file.scored + file.unscored < file.rows - file.left_out for file in files if file.scored):
        yield _TableLine("scored", [f"{file.scored:,}" for file in files])


def _measures(
    files: Sequence[FileFigures],
    figures_of: Callable[[FileFigures], Figures],
    equal_rows: int | None,
    *,
    signed: bool = False,
) -> Iterator[_TableLine]:
    for measure in MEASURES:
        if not any(measure.key in figures_of(file) for file in files):
            continue
        intervals = [figures_of(file)[measure.key] for file in files]
        cells = [
            measure.shown(interval.estimate, signed=signed) + _mark(signed, interval.excludes_zero)
            for interval in intervals
        ]
        yield _TableLine(measure.name + _ARROWS[measure.better], cells)
        spans = [measure.spanned(interval.low, interval.high, signed=signed) for interval in intervals]
        if any(spans):
            yield _TableLine("", spans)
        if equal_rows is not None and measure.grows:
            whole = [measure.shown(file.values[measure.key].estimate) for file in files]
            yield _TableLine("  all rows", whole)


def _mark(signed: bool, clear: bool) -> str:
    # The space keeps the digits aligned.
    return ("*" if clear else " ") if signed else ""


def _grid(names: Sequence[str], lines: Sequence[_TableLine]) -> Iterator[str]:
    """Yield the lines of a table. Columns that do not fit into the width go into further tables below it."""
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
        for line in [_TableLine("", list(names)), *lines]:
            cells = [line.cells[i].rjust(widths[i]) for i in range(start, end)]
            yield _GAP.join([line.label.ljust(first), *cells]).rstrip()
        start = end
