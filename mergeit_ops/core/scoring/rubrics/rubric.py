"""A rubric: what a judge weighs, the scale, and the form of the reply."""

from __future__ import annotations

from collections.abc import Mapping
from dataclasses import dataclass, field, replace

from mergeit_ops.core.merging.prompts import FIELDS
from mergeit_ops.core.scoring.rubrics.forms import Checklist, NumberFirst, ReplyForm
from mergeit_ops.core.scoring.rubrics.scale import Scale

__all__ = ["Golden", "Rubric"]

Golden = Mapping[str, "tuple[float, ...] | None"]
"""Maps replies to the values that they must give; None for no score."""


@dataclass(frozen=True)
class Rubric:
    """A rubric for `llm_judge`.

    :param name: name, with which its stats begin.
    :param source: the published rubric that it follows, and the differences.
    :param aim: what to judge, in one sentence.
    :param text: what to weigh, and what the levels of the scale mean; empty if the questions of a checklist say it.
    :param scale: the numbers that a judge may give.
    :param form: of the reply.
    :param fields: fields of a row that a judge is shown. A row without an instruction, or without a shown output, is
        not judged.
    :param needs_source: whether a judge is shown the text from which the row was made, as `source`; a row without one
        is not judged.
    :param golden: replies and their values, which serve as tests.
    :param golden_strict: the same for `strict`.
    :param no_ratio: why the scores of two rows cannot be compared by their ratio; empty if they can.
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
        """Maps the name of each measure to the key of its stat; the first is the score."""
        first, *others = (self.name + ending for ending in self.form.measures)
        return {self.name: first} | {name: name for name in others}

    @property
    def can_share_a_call(self) -> bool:
        """Whether its reply may be one number of several in a JSON object."""
        return not isinstance(self.form, Checklist)

    def strict(self) -> Rubric | None:
        """Return the rubric with replies read as in the released code; None if they are not read by the first line."""
        return replace(self, form=replace(self.form, strict=True)) if isinstance(self.form, NumberFirst) else None

    def without_reasons(self) -> Rubric:
        """Return the rubric with replies that are only the number, or only yes and no."""
        return replace(self, form=self.form.without_reasons())
