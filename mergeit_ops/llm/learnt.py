"""What an engine has learnt about its server, for another engine with the same server."""

from __future__ import annotations

from dataclasses import dataclass, field
from typing import TYPE_CHECKING

from mergeit_ops.llm.modes import Modes
from mergeit_ops.llm.refusals import Refusals
from mergeit_ops.llm.usage import TokenReserve

if TYPE_CHECKING:
    from mergeit_ops.llm.engine import LLMEngine

__all__ = ["Learnt"]


@dataclass
class Learnt:
    """What is known about a server. It holds only plain data, so it can be sent between processes.

    :param proven: whether the server has ever answered.
    :param refusals: requests given up since the last answer.
    :param dropped: parameters that it does not accept.
    :param only_reasoning: requests that it answered only with reasoning.
    :param reserve: what calls actually use.
    :param modes: which of several ways to ask the server accepts.
    """

    proven: bool = False
    refusals: Refusals = field(default_factory=Refusals)
    dropped: set[str] = field(default_factory=set)
    only_reasoning: set[str] = field(default_factory=set)
    reserve: TokenReserve = field(default_factory=TokenReserve)
    modes: Modes = field(default_factory=Modes)

    @classmethod
    def by(cls, engine: LLMEngine) -> Learnt:
        """Return what an engine knows; the engine continues to update it.

        :param engine: the engine.
        """
        modes = getattr(engine.backend_factory, "modes", None) or Modes()
        return cls(engine.proven, engine.refusals, engine.dropped, engine.only_reasoning, engine.reserve, modes)

    def add(self, other: Learnt) -> None:
        """Add what others have learnt since, or at the same time.

        :param other: not changed.
        """
        self.proven |= other.proven
        self.refusals.add(other.refusals)
        self.dropped |= other.dropped
        self.only_reasoning |= other.only_reasoning
        self.reserve.add(other.reserve)
        self.modes.add(other.modes)

    def tell(self, engine: LLMEngine) -> None:
        """Give this knowledge to an engine that has not run yet.

        :param engine: the engine.
        """
        known = Learnt.by(engine)
        known.add(self)
        engine.proven = known.proven
