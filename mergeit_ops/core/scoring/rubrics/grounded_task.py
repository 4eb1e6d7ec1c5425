"""Whether a task that was made from a text is grounded in it (in place of TEGIT's discriminator, arXiv 2309.05447)."""

from __future__ import annotations

from mergeit_ops.core.merging.prompts import FIELDS
from mergeit_ops.core.scoring.rubrics.forms import Checklist
from mergeit_ops.core.scoring.rubrics.rubric import Rubric
from mergeit_ops.core.scoring.rubrics.scale import Scale

__all__ = ["GROUNDED_TASK"]

_ITEMS = (
    "Can the instruction be carried out with what the text in `source` says?",
    "Is everything that the answer states supported by that text?",
    'Does the instruction make sense to somebody who does not have `source`: is it without a pointer such as "the text '
    'above" or "according to the passage"?',
)

GROUNDED_TASK = Rubric(
    name="grounded_task",
    source=(
        "Our own. TEGIT (DoG-Instruct) filters the tasks that it makes from documents with a model of its own, whose "
        "criteria are not published."
    ),
    aim="The task and the answer were made of the text in `source`. Judge whether they are true to it.",
    text="",
    scale=Scale(0, 1),
    form=Checklist(_ITEMS),
    fields=(*FIELDS, "source"),
    needs_source=True,
    golden={
        "1: yes\n2: yes\n3: yes": (1.0, 1.0),
        "1: yes\n2: no, the year is not in the text\n3: yes": (2 / 3, 0.0),
        "1: yes\n2: yes": (2 / 3, 0.0),
        "The task is grounded.": None,
    },
    no_ratio="it counts answers of yes, of which a merge needs all",
)
