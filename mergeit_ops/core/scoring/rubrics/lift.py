"""LIFT: 100 points for a row (Xu et al. 2023, arXiv 2312.11508)."""

from __future__ import annotations

from mergeit_ops.core.scoring.rubrics.forms import NumberFirst
from mergeit_ops.core.scoring.rubrics.rubric import Rubric
from mergeit_ops.core.scoring.rubrics.scale import Scale

__all__ = ["LIFT"]

_TEXT = """\
Give points for four things, and add them up:
- Clarity, up to 15: the task says what is wanted, and the answer is easy to follow.
- Difficulty, up to 25: the task needs knowledge or several steps of thought; common tasks of one step earn few points.
- Explanations, up to 25: the answer says how it comes to its result, and why, as far as the task allows.
- Accuracy, up to 35: the answer is right, meets every demand of the task and makes nothing up.

The score is the sum. Be sparing: full points for one of the four are rare, and a sum of 100 is for a record that an \
expert could not improve."""

LIFT = Rubric(
    name="lift",
    source=(
        "Stands for the prompt of LIFT, which has GPT-4 give 15 points for clarity, 25 for difficulty, 25 for "
        "explanations and 35 for accuracy, with the total alone on the first line. The words are our own. Its three "
        "scored examples, all about code, are left out, so that the rubric suits any domain. There the first whole "
        "number of the line counts and a reply without one is 0; here decimals count, and a reply without a number is "
        "no score."
    ),
    aim="Judge how much a model can learn from the record.",
    text=_TEXT,
    scale=Scale(0, 100),
    form=NumberFirst(parts=("clarity", "difficulty", "explanation", "accuracy")),
    golden={
        "80\nClear and right.": (80.0,),
        "85/100": (85.0,),
        "**Total: 72.5**": (72.5,),
        "101": None,
        "Clarity 15/15, difficulty 20/25": None,
        "Clarity: 15\nTotal: 80": None,
        "I cannot judge this.": None,
        "": None,
    },
    golden_strict={"80\nClear and right.": (80.0,), "85/100": None, "101": None},
)
