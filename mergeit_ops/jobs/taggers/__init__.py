"""Taggers of instructions: one file each, behind one Protocol, looked up by name."""

from __future__ import annotations

from collections.abc import Mapping

from mergeit_ops.jobs.taggers.base import ReadyTagger, Tagger
from mergeit_ops.jobs.taggers.keywords import KeywordTagger

__all__ = ["TAGGERS", "ReadyTagger", "Tagger"]

TAGGERS: Mapping[str, type[Tagger]] = {"keywords": KeywordTagger}
"""Taggers of `instruction_tag_mapper` by name. Their fields are parameters of the operator."""
