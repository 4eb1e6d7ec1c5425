"""AlpaGasus: how accurate, or how helpful, an answer is (Chen et al. 2023, arXiv 2307.08701)."""

from __future__ import annotations

from mergeit_ops.core.scoring.rubrics.forms import NumberFirst
from mergeit_ops.core.scoring.rubrics.rubric import Golden, Rubric
from mergeit_ops.core.scoring.rubrics.scale import Scale

__all__ = ["ALPAGASUS_ACCURACY", "ALPAGASUS_HELPFULNESS"]

_SOURCE = (
    "Stands for the prompt of AlpaGasus, which asks ChatGPT to rate an answer by accuracy or by helpfulness on a scale "
    "from 0 to 5, the number on the first line and an explanation below. The words are our own. The levels are "
    "described, which they are not there, and the row is shown as data."
)
_SCALE = Scale(0, 5)

_LENIENT: Golden = {
    "4.5\nGood": (4.5,),
    "4.5 ": (4.5,),
    "Score: 4.5": (4.5,),
    "4/5": (4.0,),
    "\n4.5": (4.5,),
    "nan": None,
    "": None,
    "45": None,
}
# The released code reads 45, and a NaN that fails every bound. Neither is on the scale, so neither is a score here.
_STRICT: Golden = {
    "4.5\nGood": (4.5,),
    "4.5 ": (4.5,),
    "Score: 4.5": None,
    "4/5": None,
    "\n4.5": None,
    "nan": None,
    "": None,
    "45": None,
}

_ACCURACY = """\
Only accuracy counts: whether what the answer says, calculates, quotes and codes is right, whether it agrees with the \
material that the task gives, and whether it is about what was asked. How much it says and how well it reads do not \
count.

The scale:
5: everything is right.
4: right, with a slip that misleads nobody.
3: right in the main, with an error that matters.
2: as much wrong as right.
1: wrong in the main.
0: wrong throughout, or about something else."""

_HELPFULNESS = """\
Only helpfulness counts: whether somebody who has this task is served by the answer, that is, whether it meets the \
demands of the task, says enough to be used as it stands, and says it clearly. Length as such does not count.

The scale:
5: serves the purpose fully; nothing is left to ask.
4: serves the purpose; something small is missing or unclear.
3: helps with the larger part; the rest is left to the reader.
2: helps with a smaller part.
1: hardly any help.
0: no help at all, or about something else."""

ALPAGASUS_ACCURACY = Rubric(
    name="alpagasus_accuracy",
    source=_SOURCE,
    aim="Rate how accurate the answer is.",
    text=_ACCURACY,
    scale=_SCALE,
    form=NumberFirst(),
    golden=_LENIENT,
    golden_strict=_STRICT,
)

ALPAGASUS_HELPFULNESS = Rubric(
    name="alpagasus_helpfulness",
    source=_SOURCE,
    aim="Rate how helpful the answer is.",
    text=_HELPFULNESS,
    scale=_SCALE,
    form=NumberFirst(),
    golden=_LENIENT,
    golden_strict=_STRICT,
)
