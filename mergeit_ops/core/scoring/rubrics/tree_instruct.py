"""Tree-Instruct: how many nodes the semantic tree of an instruction has (Zhao et al. 2023, arXiv 2308.05696)."""

from __future__ import annotations

import math

from mergeit_ops.core.scoring.rubrics.forms import NumberFirst
from mergeit_ops.core.scoring.rubrics.rubric import Rubric
from mergeit_ops.core.scoring.rubrics.scale import Scale

__all__ = ["TREE_NODES"]

_TEXT = """\
Read the instruction as a tree of meaning. Its root is the main act that is asked for. Below it stand the things and \
acts that it is about, and below each of these whatever describes or limits it. Each node is one noun or verb with the \
words that belong to it; articles, prepositions and politeness are none. Something that is named twice is one node.

"Name three fruits." has 2 nodes: name, and three fruits. "Name three fruits that grow in cold countries, and sort \
them by price." has 6: name, three fruits, grow, cold countries, sort, price."""

TREE_NODES = Rubric(
    name="tree_nodes",
    source=(
        "Stands for the measure of complexity of Tree-Instruct, the number of nodes of an instruction's semantic tree, "
        "asked of a model as one whole number. The words are our own. A reply without a number is no score, where "
        "published code takes 0."
    ),
    aim="Count the nodes of the instruction's semantic tree.",
    text=_TEXT,
    scale=Scale(1, math.inf, whole=True),
    form=NumberFirst(explained=False),
    fields=("instruction",),
    golden={"7": (7.0,), "Nodes: 12": (12.0,), "4.5": None, "0": None, "about 3 or 4": None, "many": None, "": None},
    golden_strict={"7": (7.0,), "Nodes: 12": None, "inf": None},
    no_ratio="a merge has the nodes of all its parents",
)
