"""Humpback: whether an answer reads like that of a good assistant (Li et al. 2023, arXiv 2308.06259)."""

from __future__ import annotations

from mergeit_ops.core.scoring.rubrics.forms import ScoreLast
from mergeit_ops.core.scoring.rubrics.rubric import Rubric
from mergeit_ops.core.scoring.rubrics.scale import Scale

__all__ = ["HUMPBACK"]

_TEXT = """\
The answer may be a text that somebody wrote for another purpose, such as a page of the web, and the instruction may \
have been found for it later. Judge whether it reads as what a helpful assistant would write for this instruction.

The scale:
5: a complete answer in the voice of an assistant: about the instruction throughout, well ordered, expert, and free of \
anything that does not belong to it.
4: the same, with room to improve, for example in order, in brevity or in depth.
3: helpful and about the whole instruction, but in another voice: that of a blog, a report or a \
personal story, or with parts that only made sense where the text came from.
2: about most of the instruction, but it does not answer it directly, for example it tells of an experience instead.
1: incomplete, vague, off the topic or not what was asked; or a piece of a forum, an advertisement, a menu or other \
text around a page."""

HUMPBACK = Rubric(
    name="humpback",
    source=(
        "Stands for the prompt of instruction backtranslation, which rates a candidate answer from 1 to 5 with a brief "
        "reasoning first and the score on the last line. The words are our own. A number outside of the scale is no "
        "score, which unofficial code lets pass."
    ),
    aim="Judge how good the answer is as that of an assistant.",
    text=_TEXT,
    scale=Scale(1, 5, whole=True),
    form=ScoreLast(),
    golden={
        "ok\nScore: 5": (5.0,),
        "score:4": (4.0,),
        "Score: 5\n": (5.0,),
        "Score: 5 because": None,
        "Score: 5/5": None,
        "Score: 45": None,
        "Score: 0": None,
        "": None,
    },
)
