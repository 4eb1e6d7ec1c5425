"""Which operators of a recipe may have removed or changed rows after the merger."""

from __future__ import annotations

from collections.abc import Collection, Iterable, Mapping
from dataclasses import dataclass, field
from typing import Any

Role = Mapping[str, Any]
"""The role that one of our operators declares; see `SampleOperator`."""

MERGER, GATE, SELECTOR, GROUPER, FLATTENER = "merger", "gate", "selector", "grouper", "flattener"
REWRITER = "rewriter"
"""Kinds of operators to which the conservation law applies. A rewriter's changes can be undone, because rows keep their
parents."""

# In Data-Juicer, the name of an operator shows its kind. An operator with any other name may do anything.
_ONLY_TAKE_ROWS = ("filter", "deduplicator", "selector")


@dataclass(frozen=True)
class RecipeSlice:
    """Part of a recipe.

    :param names: names of its operators.
    :param roles: role of each operator of ours, by registry name.
    """

    names: tuple[str, ...] = ()
    roles: Mapping[str, Role] = field(default_factory=dict)

    @property
    def takers(self) -> tuple[str, ...]:
        """Return the operators that may remove rows without a record of them.

        Mappers are among them: if a mapper raises for a batch, Data-Juicer drops its rows by default.
        """
        return tuple(name for name in self.names if name not in self.roles or self._drops_unseen(name))

    @property
    def changers(self) -> tuple[str, ...]:
        """Return the operators that may change rows in a way that cannot be undone."""
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
    """The operators of a recipe, and the positions of ours.

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
        """Return the operators before the first of ours that may give rows their ids."""
        ours = (at for at, name in enumerate(self.process) if self.roles.get(name, {}).get("gives_ids"))
        return self._slice(0, next(ours, 0))

    def between_all(self, kind: str) -> RecipeSlice:
        """Return the operators between the first and the last operator of a kind."""
        places = self._places(kind)
        return self._slice(places[0], places[-1]) if places else RecipeSlice()

    def behind(self, kind: str, until: str | None = None) -> RecipeSlice:
        """Return the operators after the last one of a kind.

        :param kind: kind of our operators.
        :param until: kind at whose last operator to stop, if it comes after; None: the end of the recipe.
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
    """Return the kind of the operator that wrote a record; empty if the law does not apply to it.

    :param record: the record.
    """
    role = record.get("role")
    return str(role.get("kind", "")) if isinstance(role, Mapping) else ""


def listed(names: Iterable[str]) -> str:
    """Return names as part of a sentence, each once."""
    return ", ".join(dict.fromkeys(names))
