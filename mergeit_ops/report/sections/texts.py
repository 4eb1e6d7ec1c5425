"""Languages and lengths of the texts, before and after the run."""

from __future__ import annotations

from collections import Counter
from dataclasses import dataclass, field

import numpy as np

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.language import language_of
from mergeit_ops.core.text.words import exact_words
from mergeit_ops.report.section import Section
from mergeit_ops.report.surveyed_run import SurveyedRun

__all__ = ["NOT_CLEAR", "TextTally", "build"]

NOT_CLEAR = "not clear"


@dataclass
class TextTally:
    """Counts of the texts of a set of rows.

    :param name: name of the set.
    :param languages: number of rows by the language of the answer.
    :param instructions: length of each instruction, in words.
    :param answers: length of each answer, in words.
    """

    name: str
    languages: Counter[str] = field(default_factory=Counter)
    instructions: list[int] = field(default_factory=list)
    answers: list[int] = field(default_factory=list)

    def add(self, sample: Sample) -> None:
        """Count a row."""
        self.languages[language_of(sample.output) or NOT_CLEAR] += 1
        self.instructions.append(len(exact_words(sample.instruction)))
        self.answers.append(len(exact_words(sample.output)))

    @property
    def lengths(self) -> list[float | None]:
        """Return the median and 95th percentile of the lengths of instructions, then of answers; None without rows."""
        if not self.answers:
            return [None] * 4
        return [float(np.percentile(part, rank)) for part in (self.instructions, self.answers) for rank in (50, 95)]


def build(run: SurveyedRun) -> Section | None:
    """Return the section; None if texts cannot be read.

    :param run: the run.
    """
    if run.layout is None:
        return None
    before = TextTally("What entered the merger" if run.given is None else "The input")
    after = TextTally("The export")
    for row in run.run.rows():
        after.add(run.layout.read(row.content).sample)
        for content in () if run.given is not None else row.parents or (row.content,):
            before.add(run.layout.read(content).sample)
    if run.given is not None:
        for content in run.given.rows.contents():
            before.add(run.given.layout.read(content).sample)
    # Without merges, the export shows only itself, not the input.
    known = run.given is not None or len(before.answers) != len(after.answers)
    sets = [before, after] if known else [after]
    languages = sum((part.languages for part in sets), Counter[str]()).most_common()
    values = {"sets": sets, "languages": [name for name, _ in languages], "layout": run.layout}
    return Section(f"Languages and lengths of the {run.layout.unit}", "Texts", values)
