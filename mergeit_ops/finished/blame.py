"""Which operators of a recipe may have taken rows away, or changed them, behind the merger."""

from __future__ import annotations

from collections.abc import Iterable
from dataclasses import dataclass

MERGER = "llm_pair_merger_mapper"
GATE = "quality_gate_filter"
SELECTOR = "facility_location_selector"
GROUPER = "topic_cluster_grouper"
REVERSE_GROUPER = "topic_reverse_grouper"
# Ours, and like anybody's filter or selector to the law: they give rows no id and keep no record of which they drop.
_PLAIN_TAKERS = ("budget_selector", "superfiltering_filter")
OWN_OPERATORS = (
    MERGER,
    GATE,
    SELECTOR,
    GROUPER,
    REVERSE_GROUPER,
    "sentence_embedding_mapper",
    "centroid_distance_selector",
    *_PLAIN_TAKERS,
)
_OWN_TAKERS = (SELECTOR, "centroid_distance_selector", *_PLAIN_TAKERS)

# Data-Juicer tells the kind of an operator by its name too. A name that tells nothing may stand for anything.
_ONLY_TAKE_ROWS = ("filter", "deduplicator", "selector")


@dataclass(frozen=True)
class Stretch:
    """Part of a recipe.

    :param names: its operators.
    """

    names: tuple[str, ...] = ()

    @property
    def takers(self) -> tuple[str, ...]:
        """Return the operators that may take rows away.

        The gate is none of them: its record names the rows that it drops. A mapper may: Data-Juicer drops the rows of a
        batch that raises in one, unless told not to.
        """
        return tuple(name for name in self.names if name in _OWN_TAKERS or name not in OWN_OPERATORS)

    @property
    def changers(self) -> tuple[str, ...]:
        """Return the operators that may change rows."""
        return tuple(name for name in self.names if name not in OWN_OPERATORS and not name.endswith(_ONLY_TAKE_ROWS))


@dataclass(frozen=True)
class ProcessOrder:
    """The operators of a recipe, and where ours stand.

    :param process: names of its operators, in order.
    """

    process: tuple[str, ...]

    def before_ours(self) -> Stretch:
        """Return what stands before the first operator of ours that may give rows their ids."""
        ours = (at for at, name in enumerate(self.process) if name in OWN_OPERATORS and name not in _PLAIN_TAKERS)
        first = next(ours, 0)
        return Stretch(self.process[:first])

    def between_all(self, own: str) -> Stretch:
        """Return the operators between the first and the last operator of a name.

        :param own: registry name of one of ours.
        """
        if own not in self.process:
            return Stretch()
        return Stretch(self.process[self.process.index(own) : _last(self.process, own)])

    def behind(self, own: str, until: str | None = None) -> Stretch:
        """Return what stands behind the last operator of a name.

        :param own: registry name of one of ours.
        :param until: where to stop: at the last operator of this name, if it stands behind; None: at the end.
        """
        if own not in self.process:
            return Stretch()
        start = _last(self.process, own) + 1
        stop = len(self.process)
        if until in self.process[start:]:
            stop = _last(self.process, str(until))
        return Stretch(self.process[start:stop])


def listed(names: Iterable[str]) -> str:
    """Return names for a sentence, each once."""
    return ", ".join(dict.fromkeys(names))


def _last(process: tuple[str, ...], name: str) -> int:
    return len(process) - 1 - process[::-1].index(name)
