"""The default rubric of `llm_judge`, and custom rubrics."""

from __future__ import annotations

from mergeit_ops.core.scoring.rubrics.forms import ScoredObject
from mergeit_ops.core.scoring.rubrics.rubric import Rubric
from mergeit_ops.core.scoring.rubrics.scale import Scale

__all__ = ["JUDGE", "own_rubric"]

_DEITA_SCALE = Scale(1, 6)
"""The scale of the Deita scorers, so that merges are compared with their parents at the same gamma."""

_TEXT = """\
Weigh four things:
- Completeness: go through the task demand by demand (what is to be done, with which material, in which form, length \
and language, within which limits) and see whether the answer meets each one. An unmet demand costs more than \
anything the answer offers beyond the task can win.
- Accuracy: facts, reasoning, calculations and code are right, and nothing is made up.
- Helpfulness: somebody who set this task could use the answer as it stands.
- Clarity: it reads easily, is well ordered, and says nothing twice.
Length earns nothing: a short answer that does all that was asked is worth as much as a long one, and padding lowers \
the score. A task that asks for more is no reason for a lower or a higher score.

The scale:
6: every demand met, correct throughout, clear; an expert would change nothing of substance.
5: every demand met and correct; small weaknesses of wording or order.
4: does the task; one minor demand missed, or a slip that does not mislead.
3: does part of the task; a demand of weight missed, or noticeable errors.
2: touches the task but is mostly incomplete, wrong or confused.
1: no answer to the task: off the topic, empty talk, refused without need, or wrong throughout."""

JUDGE = Rubric(
    name="judge",
    source="Our own, on the scale of Deita's scorers.",
    aim="Judge how good the answer is as an example for a model to learn from.",
    text=_TEXT,
    scale=_DEITA_SCALE,
    form=ScoredObject(),
    golden={
        '{"reason": "fine", "score": 4.5}': (4.5,),
        '<think>{"score": 6}?</think>{"reason": "no", "score": 2}': (2.0,),
        '{"reason": "x", "score": 0}': None,
        '{"reason": "x", "score": "4"}': None,
        "Score: 4": None,
    },
)


def own_rubric(text: str, scale: Scale = _DEITA_SCALE) -> Rubric:
    """Return a custom rubric. Its stats have the names of the built-in rubric's.

    :param text: what to weigh, and a line for each level.
    :param scale: the numbers that a judge may give.
    """
    no_ratio = "its scores may be negative" if scale.low < 0 else ""
    return Rubric("judge", "", JUDGE.aim, text, scale, JUDGE.form, no_ratio=no_ratio)
