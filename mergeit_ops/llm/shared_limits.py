"""What the stages of several processes share when they work for one operator."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mergeit_ops.errors import LLMError
from mergeit_ops.llm.usage import SpendingLimit

__all__ = ["SharedLimits"]


class SharedLimits(SpendingLimit, Protocol):
    """A token budget, the places of calls, and the end of the work, for all stages of an operator."""

    def place(self) -> AbstractAsyncContextManager[None]:
        """Wait for a place among the calls of all stages, and occupy it inside the context."""
        ...

    async def stopped(self) -> LLMError:
        """Wait until another stage has had to stop, which may never happen; return its error."""
        ...
