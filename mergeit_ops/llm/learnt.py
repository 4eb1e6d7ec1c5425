"""What an engine has learnt of its server, for another engine that asks the same one."""

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
    """What is known of a server. Holds plain data only, so it travels between processes.

    :param proven: whether the server has ever answered.
    :param refusals: requests given up since it last answered.
    :param dropped: parameters that it does not take.
    :param only_reasoning: requests that it answered with reasoning alone.
    :param reserve: what calls really take.
    :param modes: which of several ways to ask it accepts.
    """

    proven: bool = False
    refusals: Refusals = field(default_factory=Refusals)
    dropped: set[str] = field(default_factory=set)
    only_reasoning: set[str] = field(default_factory=set)
    reserve: TokenReserve = field(default_factory=TokenReserve)
    modes: Modes = field(default_factory=Modes)

    @classmethod
    def by(cls, engine: LLMEngine) -> Learnt:
        """Return what an engine knows; the engine goes on with it.

        :param engine: the engine.
        """
        modes = getattr(engine.backend_factory, "modes", None) or Modes()
        return cls(engine.proven, engine.refusals, engine.dropped, engine.only_reasoning, engine.reserve, modes)

    def add(self, other: Learnt) -> None:
        """Learn what somebody else has learnt since, or at the same time.

        :param other: stays as it is.
        """
        self.proven |= other.proven
        self.refusals.add(other.refusals)
        self.dropped |= other.dropped
        self.only_reasoning |= other.only_reasoning
        self.reserve.add(other.reserve)
        self.modes.add(other.modes)

    def tell(self, engine: LLMEngine) -> None:
        """Have an engine that has not run yet begin with this knowledge.

        :param engine: the engine.
        """
        known = Learnt.by(engine)
        known.add(self)
        engine.proven = known.proven
