"""WaveCoder's discriminator: a checklist for rows about code, or a custom checklist (Yu et al. 2023, arXiv
2312.14187)."""

from __future__ import annotations

from collections.abc import Sequence
from dataclasses import replace

from mergeit_ops.core.scoring.rubrics.forms import Checklist
from mergeit_ops.core.scoring.rubrics.rubric import Rubric
from mergeit_ops.core.scoring.rubrics.scale import Scale

__all__ = ["WAVECODER", "with_checklist"]

_ITEMS = (
    "Does the instruction, or the input, make clear which programming language is meant?",
    "Does the answer do what the instruction asks for?",
    "Does the answer consist of code and comments only?",
    "Is the logic of the code easy to see, and not hidden in text or behind calls that do not exist?",
    "Does the code import or define everything that it uses?",
)

WAVECODER = Rubric(
    name="wavecoder",
    source=(
        "Stands for the discriminator of WaveCoder, in which GPT-4 answers one question about the instruction and four "
        "about the solution with yes or no and a reason. The words are our own. There an overall answer, which it also "
        "states, decides; here all answers must be yes, and an answer that is missing is no."
    ),
    aim="Judge whether the record meets some conditions.",
    text="",
    scale=Scale(0, 1),
    form=Checklist(_ITEMS),
    golden={
        "1: yes\n2: yes\n3: no, there is prose\n4: yes\n5: yes\nOverall answer: yes": (0.8, 0.0),
        "1: yes\n2: yes\n3: yes\n4: yes\n5: yes": (1.0, 1.0),
        "1: yes\n2: yes\n3: yes\n4: yes": (0.8, 0.0),
        "1. <answer: yes, it is Python>\n2. **Yes**\n3) yes\n- 4: yes\n5: YES": (1.0, 1.0),
        "1: yes\n2: yes\n3: yes\n4: yes\n5: yes\n5: no": (0.8, 0.0),
        "Overall answer: yes": None,
        "": None,
    },
    no_ratio="it counts answers of yes, of which a merge needs all",
)


def with_checklist(items: Sequence[str]) -> Rubric:
    """Return the rubric with custom questions.

    :param items: yes-or-no questions about `instruction`, `input` and `output`, at least one. Each becomes one line.
    """
    return replace(WAVECODER, form=Checklist(tuple(" ".join(item.split()) for item in items)), golden={})
