"""A finished run with the results that several sections need, each computed once."""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass, field
from functools import cached_property
from pathlib import Path

from mergeit_ops.core.columns import EMBEDDING
from mergeit_ops.core.formats import SampleFormat, resolve_format
from mergeit_ops.core.topics.words import typical_words
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL, STATIC
from mergeit_ops.errors import DatasetError
from mergeit_ops.report.rendering import plain
from mergeit_ops.report.sampling import Sketch
from mergeit_ops.report.space import Space, encoder, space_of
from mergeit_ops.report.survey import Point, Survey, input_points, survey
from mergeit_ops.runs import ExportRow, FinishedRun
from mergeit_ops.runs.export_files import read_rows
from mergeit_ops.runs.inputs import InputRows, read_input
from mergeit_ops.runs.records import Record

__all__ = ["RunInput", "SurveyedRun", "survey_run"]

DEFAULT_SAMPLE = 2_000
SEED = 42

Say = Callable[[str], None]


@dataclass(frozen=True)
class RunInput:
    """The input of a run.

    :param name: name of the dataset's file or folder, or of several.
    :param rows: rows of the dataset.
    :param layout: format of the rows.
    :param points: a sample of the rows with the keys of the survey.
    """

    name: str
    rows: InputRows
    layout: SampleFormat
    points: Sketch[Point]


@dataclass(frozen=True)
class SurveyedRun:
    """A finished run for the sections of the page.

    :param run: the run, from which sections can read its rows again.
    :param layout: format of the rows; None: unknown.
    :param survey: results of one pass over the export.
    :param given: the input; None: not given.
    :param sample: number of rows to embed from the export, and from the input; 0: none.
    :param model: embedding model.
    :param seed: seed of the samples and the map.
    :param say: called with each line of progress.
    :param notes: sentences about what the page leaves out, and why. Sections add notes; the last section shows them.
    """

    run: FinishedRun
    layout: SampleFormat | None
    survey: Survey
    given: RunInput | None
    sample: int
    model: str
    seed: int
    say: Say
    notes: list[str] = field(default_factory=list)

    @property
    def records(self) -> Sequence[Record]:
        """Return the records of the operators, in the order of the recipe."""
        return self.run.records.operators

    @cached_property
    def topic_labels(self) -> dict[int, str]:
        """Return the typical words of each topic, safe to show on a page; ascending by topic."""
        words = typical_words({id: topic.texts.items for id, topic in self.survey.topics.items()})
        return {id: plain(", ".join(words[id])) for id in sorted(self.survey.topics)}

    @cached_property
    def space(self) -> Space | None:
        """Return the sampled rows as vectors; None if no row is sampled.

        :raises EmbeddingError: if the embedding model cannot be loaded.
        """
        went_in = None if self.given is None else self.given.points
        return space_of(self.survey, went_in, encoder(self.model, self.say))


def survey_run(
    run: FinishedRun,
    *,
    inputs: Sequence[Path] = (),
    sample: int = DEFAULT_SAMPLE,
    embedding_model: str | None = None,
    seed: int = SEED,
    say: Say = print,
) -> SurveyedRun:
    """Read the rows of a run.

    :param run: the run.
    :param inputs: files and folders of the input, one for each source of the recipe, read as Data-Juicer reads them;
        empty: the input is reconstructed from the export as far as possible.
    :param sample: number of rows to embed from the export, and from the input; 0: none.
    :param embedding_model: name or folder of the model; None: the model of the run's records, else the default.
    :param seed: seed of the samples and the map.
    :param say: called with each line of progress.
    :raises DatasetError: if the export or the input cannot be read.
    """
    notes: list[str] = []
    layout = _layout(run, notes)
    say(f"Reading {run.export} ...")
    found = survey(_with_vectors(run), layout, sample, seed)
    given = None
    if inputs:
        say(f"Reading {', '.join(map(str, inputs))} ...")
        given = _read_input(inputs, run, sample, seed)
    return SurveyedRun(run, layout, found, given, sample, embedding_model or _model_of(run), seed, say, notes)


def _layout(run: FinishedRun, notes: list[str]) -> SampleFormat | None:
    try:
        return run.layout()
    except DatasetError as error:
        notes.append(f"Texts are left out, because the columns cannot be read as instruction and response: {error}")
        return None


def _with_vectors(run: FinishedRun) -> Iterator[tuple[ExportRow, str | None]]:
    vectors = _vectors(run)
    for row in run.rows():
        yield row, next(vectors, None)


def _vectors(run: FinishedRun) -> Iterator[str | None]:
    """Yield the stored embedding of each row; nothing if the first row has none."""
    for number, row in enumerate(row for file in run.files for row in read_rows(file)):
        vector = row.get(EMBEDDING)
        if number == 0 and vector is None:
            return
        yield vector if isinstance(vector, str) else None


def _read_input(paths: Sequence[Path], run: FinishedRun, sample: int, seed: int) -> RunInput:
    try:
        rows = read_input(*paths)
    except DatasetError as error:
        raise DatasetError(f"--input: {error}") from error
    parameters = run.records.operators[0].get("parameters") or {} if run.records.operators else {}
    keys = ("instruction_key", "query_key", "response_key")
    try:
        layout = resolve_format("auto", rows.columns, **{key: parameters.get(key) for key in keys})
    except ValueError as error:
        raise DatasetError(f"--input: {', '.join(map(str, paths))}: {error}.") from error
    return RunInput(
        ", ".join(path.name for path in paths), rows, layout, input_points(rows.contents(), layout, sample, seed)
    )


def _model_of(run: FinishedRun) -> str:
    models = [(record.get("parameters") or {}).get("embedding_model") for record in run.records.operators]
    # Static token vectors approximate the default model. For a small sample the default model itself is fast enough.
    return next((model for model in models if isinstance(model, str) and model != STATIC), DEFAULT_EMBEDDING_MODEL)
