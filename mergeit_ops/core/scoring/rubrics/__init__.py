"""Named rubrics of `llm_judge`: one file for each family, looked up by name."""

from __future__ import annotations

from collections.abc import Mapping

from mergeit_ops.core.scoring.rubrics.alpagasus import ALPAGASUS_ACCURACY, ALPAGASUS_HELPFULNESS
from mergeit_ops.core.scoring.rubrics.built_in import JUDGE, own_rubric
from mergeit_ops.core.scoring.rubrics.grounded_task import GROUNDED_TASK
from mergeit_ops.core.scoring.rubrics.humpback import HUMPBACK
from mergeit_ops.core.scoring.rubrics.lift import LIFT
from mergeit_ops.core.scoring.rubrics.rubric import Rubric
from mergeit_ops.core.scoring.rubrics.scale import Scale
from mergeit_ops.core.scoring.rubrics.tree_instruct import TREE_NODES
from mergeit_ops.core.scoring.rubrics.wavecoder import WAVECODER, with_checklist

__all__ = ["JUDGE", "RUBRICS", "WAVECODER", "Rubric", "Scale", "own_rubric", "with_checklist"]

RUBRICS: Mapping[str, Rubric] = {
    rubric.name: rubric
    for rubric in (
        JUDGE,
        ALPAGASUS_ACCURACY,
        ALPAGASUS_HELPFULNESS,
        LIFT,
        HUMPBACK,
        WAVECODER,
        TREE_NODES,
        GROUNDED_TASK,
    )
}
"""Maps the name in a recipe to the rubric. To add a rubric, add one file and one line here."""
