"""The limits that the stages of one operator share, in several processes."""

from __future__ import annotations

from contextlib import AbstractAsyncContextManager
from typing import Protocol

from mergeit_ops.errors import LLMError
from mergeit_ops.llm.usage import SpendingLimit

__all__ = ["SharedLimits"]


class SharedLimits(SpendingLimit, Protocol):
    """A token budget, places for calls, and a signal to stop, for all stages of an operator."""

    def place(self) -> AbstractAsyncContextManager[None]:
        """Wait for a place among the calls of all stages, and occupy it inside the context."""
        ...

    async def stopped(self) -> LLMError:
        """Wait until another stage has to stop, and return its error. This may never happen."""
        ...
