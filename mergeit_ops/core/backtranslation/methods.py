"""The methods of `backtranslation_mapper`."""

from __future__ import annotations

from collections.abc import Mapping

from mergeit_ops.core.backtranslation.grounded_task import GroundedTask
from mergeit_ops.core.backtranslation.instruction import InstructionFor
from mergeit_ops.core.backtranslation.method import BacktranslationMethod

__all__ = ["BACKTRANSLATIONS"]

BACKTRANSLATIONS: Mapping[str, type[BacktranslationMethod]] = {
    "instruction": InstructionFor,
    "grounded_task": GroundedTask,
}
"""Methods by name."""
