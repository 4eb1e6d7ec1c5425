"""Everything that a report says, as numbers and texts: gathered here, laid out by the page."""

from __future__ import annotations

from collections import Counter
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass, field, replace
from pathlib import Path
from statistics import median
from typing import Any

import numpy as np

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import SampleFormat, resolve_format
from mergeit_ops.core.gate.gamma_sweep import Outcome, ScoredMerge, gammas, outcomes
from mergeit_ops.core.gate.rule import GateRule
from mergeit_ops.core.topics.words import typical_words
from mergeit_ops.dataset.manifest import TOPIC_SIZES
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.errors import DatasetError
from mergeit_ops.report.browser import ShownMerge, chosen, texts_of, within
from mergeit_ops.report.costs import Cost, costs
from mergeit_ops.report.funnel import Stage, funnel
from mergeit_ops.report.space import Comparison, compare, embed, encoder, map_colours, topic_map
from mergeit_ops.report.survey import Merge, Point, Sketch, Survey, input_points, survey
from mergeit_ops.runs import ExportRow, FinishedRun
from mergeit_ops.runs.export_files import read_rows
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.recipe_steps import GATE, kind_of

__all__ = ["Findings", "Histogram", "Map", "TopicLine", "WhatIf", "find"]

DEFAULT_SAMPLE = 2_000
SEED = 42
_BINS = (8, 40)
_PAPER_GAMMA = 0.75

Say = Callable[[str], None]


@dataclass(frozen=True)
class TopicLine:
    """A topic in the table.

    :param id: its id.
    :param words: typical of it; empty when there are none.
    :param size: rows before selection, or None.
    :param selected: rows that came to the merger, as far as the export tells.
    :param merged: merges among its rows.
    :param restored: rows given back by the gate.
    :param rows: in the export.
    :param quality: mean over the rows that have a score, or None.
    :param colour: on the map.
    """

    id: int
    words: tuple[str, ...]
    size: int | None
    selected: int
    merged: int
    restored: int
    rows: int
    quality: float | None
    colour: int = 0


@dataclass(frozen=True)
class Histogram:
    """Counts between edges, of several sets over the same edges.

    :param edges: one more than counts.
    :param counts: name to counts.
    :param medians: name to the median; None for an empty set.
    """

    edges: list[float]
    counts: dict[str, list[int]]
    medians: dict[str, float | None]


@dataclass(frozen=True)
class WhatIf:
    """What other gammas would have let pass.

    :param rule: the rule of the run; where no record tells it, the default one.
    :param known: whether a record tells it.
    :param decided: merges that the gate decided about.
    :param outcomes: ascending by gamma; `rows` are those of the export.
    :param start: position of the run's gamma.
    :param agrees: whether the outcome at the run's gamma is what the export holds.
    """

    rule: GateRule
    known: bool
    decided: int
    outcomes: list[Outcome]
    start: int
    agrees: bool


@dataclass(frozen=True)
class Map:
    """Rows of the export on a plane.

    :param places: (n, 2).
    :param points: the rows.
    :param centres: topic to its middle.
    """

    places: list[tuple[float, float]]
    points: list[Point]
    centres: dict[int, tuple[float, float]]


@dataclass
class Findings:
    """What a report says. None, or empty, is what cannot be told; `notes` say why."""

    export: str
    files: int
    work_dir: str | None
    input: str | None
    survey: Survey
    stages: list[Stage]
    topics: list[TopicLine]
    quality: dict[str, Histogram]
    similarity: Histogram | None
    failed: dict[str, int]
    rejected: dict[str, int]
    unmergeable: dict[str, int]
    what_if: WhatIf | None
    shown: list[ShownMerge]
    map: Map | None
    comparison: Comparison | None
    reference: str
    embedded: int
    embedding_model: str | None
    costs: list[Cost]
    records: Sequence[Mapping[str, Any]]
    notes: list[str] = field(default_factory=list)


def find(
    run: FinishedRun,
    *,
    input_path: Path | None = None,
    sample: int = DEFAULT_SAMPLE,
    embedding_model: str | None = None,
    seed: int = SEED,
    say: Say = print,
) -> Findings:
    """Gather what there is to say about a run.

    :param run: the run.
    :param input_path: the dataset that went in, a file or a folder, read as Data-Juicer reads it; None: what went in is
        told from the export as far as it holds it.
    :param sample: rows of what came out, and of what went in, for which embeddings are looked at; 0: none.
    :param embedding_model: name or folder; None: that of the run's records, else the default.
    :param seed: of samples and map.
    :param say: told what takes long.
    :raises DatasetError: if the export or the input cannot be read.
    :raises EmbeddingError: if the embedding model cannot be loaded.
    """
    notes: list[str] = []
    records = run.records.operators
    layout = _layout(run, notes)
    say(f"Reading {run.export} ...")
    found = survey(_with_vectors(run), layout, sample, seed)
    went_in = _input(input_path, run, sample, seed, say) if input_path is not None else None
    lines = _topics(found, records)
    sampled_map, comparison, reference, embedded, model = _space(
        run, found, went_in, sample, embedding_model, seed, say, notes
    )
    if sampled_map is not None:
        colours = map_colours(np.array(sampled_map.places), [point.topic for point in sampled_map.points])
        lines = [replace(line, colour=colours.get(line.id, 0)) for line in lines]
    what_if = _what_if(found, records, notes)
    shown = _shown(run, layout, found, seed, say, notes)
    if not records:
        notes.append(
            "No records of the run were found (--work-dir says where they are), so calls, tokens, times, the recipe's "
            "gamma, and what was there before merging are told only as far as the export does."
        )
    return Findings(
        export=str(run.export.name),
        files=len(run.files),
        work_dir=None if run.work_dir is None else run.work_dir.name,
        input=None if input_path is None else input_path.name,
        survey=found,
        stages=funnel(records, found, None if went_in is None else went_in.seen),
        topics=lines,
        quality=_quality(found.merges),
        similarity=_similarity(found.merges),
        failed=_recorded(records, "failed", dict(found.failed)),
        rejected=_recorded(records, "rejected", _rejected(found.merges)),
        unmergeable=_recorded(records, "unmergeable", dict(found.unmergeable)),
        what_if=what_if,
        shown=shown,
        map=sampled_map,
        comparison=comparison,
        reference=reference,
        embedded=embedded,
        embedding_model=model,
        costs=costs(records),
        records=records,
        notes=notes,
    )


def _layout(run: FinishedRun, notes: list[str]) -> SampleFormat | None:
    try:
        return run.layout()
    except DatasetError as error:
        notes.append(f"Texts are left out, the columns cannot be read as instruction and response: {error}")
        return None


def _with_vectors(run: FinishedRun) -> Iterator[tuple[ExportRow, str | None]]:
    vectors = _vectors(run)
    for row in run.rows():
        yield row, next(vectors, None)


def _vectors(run: FinishedRun) -> Iterator[str | None]:
    """Yield the embedding that each row brings; nothing, where the first row brings none."""
    for number, row in enumerate(row for file in run.files for row in read_rows(file)):
        vector = row.get(EMBEDDING)
        if number == 0 and vector is None:
            return
        yield vector if isinstance(vector, str) else None


def _input(path: Path, run: FinishedRun, sample: int, seed: int, say: Say) -> Sketch[Point]:
    say(f"Reading {path} ...")
    try:
        rows = read_input(path)
    except DatasetError as error:
        raise DatasetError(f"--input: {error}") from error
    parameters = run.records.operators[0].get("parameters") or {} if run.records.operators else {}
    keys = ("instruction_key", "query_key", "response_key")
    try:
        layout = resolve_format("auto", rows.columns, **{key: parameters.get(key) for key in keys})
    except ValueError as error:
        raise DatasetError(f"--input: {path}: {error}.") from error
    return input_points(rows.contents(), layout, sample, seed)


def _topics(found: Survey, records: Sequence[Mapping[str, Any]]) -> list[TopicLine]:
    words = typical_words({id: topic.texts.items for id, topic in found.topics.items()})
    sizes: list[int] = next(
        (record[TOPIC_SIZES] for record in records if isinstance(record.get(TOPIC_SIZES), list)), []
    )
    return [
        TopicLine(
            id,
            tuple(words[id]),
            sizes[id] if 0 <= id < len(sizes) else None,
            topic.entered,
            topic.merged,
            topic.restored,
            topic.rows,
            topic.mean_quality,
        )
        for id, topic in sorted(found.topics.items())
    ]


def _space(
    run: FinishedRun,
    found: Survey,
    input_sketch: Sketch[Point] | None,
    sample: int,
    embedding_model: str | None,
    seed: int,
    say: Say,
    notes: list[str],
) -> tuple[Map | None, Comparison | None, str, int, str | None]:
    nothing = None, None, "", 0, None
    if sample == 0:
        notes.append("The map and the comparison with what went in are left out, as --sample 0 asks.")
        return nothing
    shown_rows = found.points.below()
    if not shown_rows:
        return nothing
    pool_sketch, reference = (
        (input_sketch, "the input") if input_sketch is not None else (found.entered, "what entered the merger")
    )
    # One bound for all: the samples are then of the same draw.
    bound = min(pool_sketch.bound, found.points.bound, found.covering.bound)
    pool, result, covering = pool_sketch.below(bound), found.points.below(bound), found.covering.below(bound)
    if input_sketch is None and found.rows_entered == found.rows:
        notes.append(
            "What came out is not compared with what went in: no row of the export is a merge, so the export does not "
            "hold what went in. --input says where that is."
        )
        pool = []
    elif not pool or not result:
        pool = []
        notes.append("What came out is not compared with what went in: too few rows are sampled; --sample takes more.")
    if not pool:
        result = covering = []
    model = embedding_model or _model_of(run.records.operators)
    vectors, embedded = embed([shown_rows, pool, result, covering], encoder(model, say))
    say("Drawing the map ...")
    rows, places = topic_map(vectors[0], seed)
    points = [shown_rows[row] for row in rows]
    comparison = None
    if pool:
        say("Comparing with what went in ...")
        names = (_capital(reference), "As many rows drawn at random from it", "The export")
        comparison = compare(vectors[1], pool_sketch.seen, vectors[2], vectors[3], found.rows, names, seed)
    return (
        Map([(float(x), float(y)) for x, y in places], points, _centres(places, points)),
        comparison,
        reference,
        embedded,
        model if embedded else None,
    )


def _model_of(records: Sequence[Mapping[str, Any]]) -> str:
    models = [(record.get("parameters") or {}).get("embedding_model") for record in records]
    return next((model for model in models if isinstance(model, str)), DEFAULT_EMBEDDING_MODEL)


def _centres(places: Any, points: Sequence[Point]) -> dict[int, tuple[float, float]]:
    rows: dict[int, list[int]] = {}
    for number, point in enumerate(points):
        if point.topic is not None:
            rows.setdefault(point.topic, []).append(number)
    return {
        topic: (float(middle[0]), float(middle[1]))
        for topic, numbers in rows.items()
        for middle in [np.median(places[numbers], axis=0)]
    }


def _quality(merges: Sequence[Merge]) -> dict[str, Histogram]:
    scored = [merge for merge in merges if _scored(merge)]
    parts = {
        "accepted": [merge for merge in scored if merge.rejected is None],
        "rejected": [merge for merge in scored if merge.rejected is not None],
    }
    values = [value for merge in scored for value in (merge.before, merge.after)]
    return {
        name: _histogram(
            {"before": [merge.before for merge in part], "after": [merge.after for merge in part]}, over=values
        )
        for name, part in parts.items()
        if part
    }


def _similarity(merges: Sequence[Merge]) -> Histogram | None:
    known = [merge for merge in merges if merge.similarity is not None]
    if not known:
        return None
    return _histogram(
        {
            "accepted": [merge.similarity for merge in known if merge.rejected is None],
            "rejected": [merge.similarity for merge in known if merge.rejected is not None],
        },
        over=[merge.similarity for merge in known],
    )


def _histogram(sets: Mapping[str, Sequence[Any]], over: Sequence[Any]) -> Histogram:
    bins = int(np.clip(np.ceil(2 * len(over) ** (1 / 3)), *_BINS))  # Rice's rule
    edges = np.histogram_bin_edges(np.array(over, dtype=np.float64), bins=bins)
    return Histogram(
        [float(edge) for edge in edges],
        {name: [int(count) for count in np.histogram(values, bins=edges)[0]] for name, values in sets.items()},
        {name: float(median(values)) if values else None for name, values in sets.items()},
    )


def _what_if(found: Survey, records: Sequence[Mapping[str, Any]], notes: list[str]) -> WhatIf | None:
    # Merges without scores in the export may never have met a gate; those taken apart have.
    decided = [merge for merge in found.merges if merge.rejected is not None or _scored(merge)]
    if not any(map(_scored, decided)):
        if found.merges:
            notes.append("No merge has a quality score: there was no quality_gate_filter, or its stats were left out.")
        return None
    gates = [record.get("parameters") or {} for record in records if kind_of(record) == GATE]
    rule = _rule(gates[-1]) if gates else GateRule(_PAPER_GAMMA)
    merges = [ScoredMerge(merge.before, merge.after, merge.coverage, merge.parents) for merge in decided]
    at = gammas(merges, rule.gamma)
    others = found.rows - sum(1 if merge.rejected is None else merge.parents for merge in decided)
    results = [Outcome(part.gamma, part.passing, part.rows + others) for part in outcomes(merges, rule, at)]
    start = at.index(rule.gamma)
    several = any((record.get("parameters") or {}).get("num_candidates", 1) > 1 for record in records)
    if several and rule.min_parent_coverage is not None:
        notes.append(
            "Several answers were asked for each pair, and the export holds the figures of one: below the run's gamma "
            "more merges may pass than the slider tells."
        )
    accepted = sum(merge.rejected is None for merge in decided)
    return WhatIf(rule, bool(gates), len(decided), results, start, not gates or results[start].passing == accepted)


def _scored(merge: Merge) -> bool:
    return merge.before is not None and merge.after is not None


def _rule(parameters: Mapping[str, Any]) -> GateRule:
    return GateRule(
        float(parameters.get("gamma", _PAPER_GAMMA)),
        bool(parameters.get("strict", True)),
        parameters.get("reference", "mean"),
        parameters.get("min_parent_coverage"),
    )


def _shown(
    run: FinishedRun, layout: SampleFormat | None, found: Survey, seed: int, say: Say, notes: list[str]
) -> list[ShownMerge]:
    if layout is None or not found.merges:
        return []
    say(f"Reading the texts of {len(found.merges):,} merges ...")
    return within(texts_of(run.rows(), layout, found.merges, chosen(found.merges, seed=seed)))


def _rejected(merges: Sequence[Merge]) -> dict[str, int]:
    return dict(Counter(merge.rejected for merge in merges if merge.rejected is not None))


def _recorded(records: Sequence[Mapping[str, Any]], name: str, otherwise: dict[str, int]) -> dict[str, int]:
    """Return counts by reason as the records say; without any record of them, what the export tells."""
    told = [record["figures"][name] for record in records if isinstance(record["figures"].get(name), Mapping)]
    if not told:
        return otherwise
    total: Counter[str] = Counter()
    for figures in told:
        total.update({reason: int(count) for reason, count in figures.items()})
    return dict(total)


def _capital(text: str) -> str:
    return text[:1].upper() + text[1:]
