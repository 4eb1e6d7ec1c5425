"""A checklist of one's own in the place of the one for code."""

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.judging import JudgeQuestion
from mergeit_ops.core.scoring.rubrics.wavecoder import with_checklist


def test_a_checklist_of_ones_own_is_asked_line_by_line():
    rubric = with_checklist(["Is it\nkind?", "Is it short?"])
    system = JudgeQuestion((rubric,)).messages(Sample("a", "b", "c"))[0]["content"]
    assert "1: Is it kind?\n2: Is it short?\n" in system
    assert rubric.form.read("2: yes\n1: no", rubric.scale) == (0.5, 0.0)
    assert rubric.form.read("1: yes/no\n2: yes\n3: no", rubric.scale) == (0.5, 0.0)
    assert list(rubric.measures.values()) == ["wavecoder_score", "wavecoder_pass"]
