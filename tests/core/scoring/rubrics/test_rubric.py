"""What a rubric refuses, and how it is changed."""

import pytest

from mergeit_ops.core.scoring.rubrics import RUBRICS, Rubric, Scale
from mergeit_ops.core.scoring.rubrics.forms import Checklist, ScoreLast


@pytest.mark.parametrize(
    ("form", "scale"),
    [(ScoreLast(), Scale(1, 5)), (ScoreLast(), Scale(-5, 5, whole=True)), (Checklist(("a",)), Scale(1, 5))],
)
def test_a_rubric_refuses_a_scale_that_its_replies_cannot_be_read_for(form, scale):
    with pytest.raises(ValueError, match="score"):
        Rubric("mine", "", "Judge it.", "", scale, form)


def test_only_rubrics_whose_reply_begins_with_the_number_can_be_read_strictly():
    strict = {name for name, rubric in RUBRICS.items() if rubric.strict() is not None}
    assert strict == {"alpagasus_accuracy", "alpagasus_helpfulness", "lift", "tree_nodes"}


def test_a_checklist_shares_no_call():
    assert {name for name, rubric in RUBRICS.items() if not rubric.can_share_a_call} >= {"wavecoder"}
    assert RUBRICS["judge"].can_share_a_call
