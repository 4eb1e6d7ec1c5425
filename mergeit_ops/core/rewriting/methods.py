"""The methods of `instruction_rewrite_mapper`."""

from __future__ import annotations

from collections.abc import Mapping

from mergeit_ops.core.rewriting.chains import RewriteMethod
from mergeit_ops.core.rewriting.expansion import Broaden, Deepen
from mergeit_ops.core.rewriting.revision import Revise
from mergeit_ops.core.rewriting.tree import Tree

__all__ = ["REWRITINGS"]

REWRITINGS: Mapping[str, type[RewriteMethod]] = {
    "tree": Tree,
    "deepen": Deepen,
    "broaden": Broaden,
    "revise": Revise,
}
"""Methods by name. The fields of a method are the operator's parameters that it takes."""
