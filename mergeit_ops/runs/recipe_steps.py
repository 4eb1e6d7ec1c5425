"""Which operators of a recipe may have taken rows away, or changed them, behind the merger."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Role = Mapping[str, Any]
"""What an operator of ours says about itself; see `SampleOperator`."""

MERGER, GATE, SELECTOR, GROUPER, FLATTENER = "merger", "gate", "selector", "grouper", "flattener"
REWRITER = "rewriter"
"""Kinds of operators that the conservation law speaks of. What a rewriter changes can be undone: rows keep parents."""

# Data-Juicer tells the kind of an operator by its name. A name that tells nothing may stand for anything.
_ONLY_TAKE_ROWS = ("filter", "deduplicator", "selector")


@dataclass(frozen=True)
class RecipeSlice:
    """Part of a recipe.

    :param names: its operators.
    :param roles: role of each operator of ours, by registry name.
    """

    names: tuple[str, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def takers(self) -> tuple[str, ...]:
        """Return the operators that may take rows away, and keep no record of which.

        A mapper may: Data-Juicer drops the rows of a batch that raises in one, unless told not to.
        """
        return tuple(name for name in self.names if name not in self.roles or self._drops_unseen(name))

    @property
    def changers(self) -> tuple[str, ...]:
        """Return the operators that may change rows in a way that nobody can undo."""
        return tuple(name for name in self.names if self._changes(name))

    def of_kind(self, kind: str) -> tuple[str, ...]:
        """Return the operators of a kind, in order."""
        return tuple(name for name in self.names if self.roles.get(name, {}).get("kind") == kind)

    def _changes(self, name: str) -> bool:
        role = self.roles.get(name)
        if role is not None and role.get("kind") == REWRITER:
            return False
        return not name.endswith(_ONLY_TAKE_ROWS) if role is None else bool(role.get("changes_rows"))

    def _drops_unseen(self, name: str) -> bool:
        role = self.roles[name]
        return bool(role.get("may_drop")) and not role.get("records_drops")


@dataclass(frozen=True)
class RecipeSteps:
    """The operators of a recipe, and where ours stand.

    :param process: names of its operators, in order.
    :param roles: role of each operator of ours, by registry name.
    """

    process: tuple[str, ...]
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def changers(self) -> tuple[str, ...]:
        """Return all operators that may change rows."""
        return self._slice(0, len(self.process)).changers

    def before_ours(self) -> RecipeSlice:
        """Return what stands before the first operator of ours that may give rows their ids."""
        ours = (at for at, name in enumerate(self.process) if self.roles.get(name, {}).get("gives_ids"))
        return self._slice(0, next(ours, 0))

    def between_all(self, kind: str) -> RecipeSlice:
        """Return the operators between the first and the last operator of a kind."""
        places = self._places(kind)
        return self._slice(places[0], places[-1]) if places else RecipeSlice()

    def behind(self, kind: str, until: str | None = None) -> RecipeSlice:
        """Return what stands behind the last operator of a kind.

        :param kind: kind of one of ours.
        :param until: where to stop: at the last operator of this kind, if it stands behind; None: at the end.
        """
        places = self._places(kind)
        if not places:
            return RecipeSlice()
        start = places[-1] + 1
        stops = [] if until is None else [place for place in self._places(until) if place >= start]
        return self._slice(start, stops[-1] if stops else len(self.process))

    def of_kinds(self, kinds: Collection[str]) -> list[str]:
        """Return the names of the operators of some kinds, in order."""
        return [name for name in self.process if self.roles.get(name, {}).get("kind") in kinds]

    def _places(self, kind: str) -> list[int]:
        return [at for at, name in enumerate(self.process) if self.roles.get(name, {}).get("kind") == kind]

    def _slice(self, start: int, stop: int) -> RecipeSlice:
        return RecipeSlice(self.process[start:stop], self.roles)


def kind_of(record: Mapping[str, Any]) -> str:
    """Return the kind of the operator that left a record; empty if it is none that the law speaks of.

    :param record: the record.
    """
    role = record.get("role")
    return str(role.get("kind", "")) if isinstance(role, Mapping) else ""


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence, each once."""
    return ", ".join(dict.fromkeys(names))
