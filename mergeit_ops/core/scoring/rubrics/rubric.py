"""A rubric: what a judge weighs, on which scale, and how its reply is asked for and read."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mergeit_ops.core.merging.prompts import FIELDS
from mergeit_ops.core.scoring.rubrics.forms import Checklist, NumberFirst, ReplyForm
from mergeit_ops.core.scoring.rubrics.scale import Scale

__all__ = ["Golden", "Rubric"]

Golden = Mapping[str, "tuple[float, ...] | None"]
"""Replies to the values that they must give; None: no score."""


@dataclass(frozen=True)
class Rubric:
    """A rubric for `llm_judge`.

    :param name: its stats begin with it.
    :param source: the published rubric that it stands for, and where it differs.
    :param aim: what is judged, in one sentence.
    :param text: what to weigh, and what the levels of the scale mean; empty where the questions of a checklist say it.
    :param scale: the numbers that a judge may give.
    :param form: of the reply.
    :param fields: what a judge is shown of a row. A row without an instruction, or without an output where it is shown,
        is not judged.
    :param needs_source: whether a judge is shown the text that the row was made of, as `source`; a row without one is
        not judged.
    :param golden: replies and their values; they are tests.
    :param golden_strict: the same for `strict`.
    :param no_ratio: why the scores of two rows cannot be compared by their ratio; empty: they can.
    :raises ValueError: if the form cannot read the scale.
    """

    name: str
    source: str
    aim: str
    text: str
    scale: Scale
    form: ReplyForm
    fields: tuple[str, ...] = FIELDS
    needs_source: bool = False
    golden: Golden = field(default_factory=dict)
    golden_strict: Golden = field(default_factory=dict)
    no_ratio: str = ""

    def __post_init__(self) -> None:
        self.form.check(self.scale)

    @property
    def measures(self) -> Mapping[str, str]:
        """Name of each measure to the key of its stat; the first is the score."""
        first, *others = (self.name + ending for ending in self.form.measures)
        return {self.name: first} | {name: name for name in others}

    @property
    def can_share_a_call(self) -> bool:
        """Whether its reply may be one number of several in a JSON object."""
        return not isinstance(self.form, Checklist)

    def strict(self) -> Rubric | None:
        """Return the rubric with its replies read as by the released code; None if they are not read by first line."""
        return replace(self, form=replace(self.form, strict=True)) if isinstance(self.form, NumberFirst) else None

    def without_reasons(self) -> Rubric:
        """Return the rubric with replies that are the number alone, or yes and no alone."""
        return replace(self, form=self.form.without_reasons())
