"""How a run shows that it is alive: a bar on a terminal, else a line now and then."""

from __future__ import annotations

import asyncio
import sys
import time
from typing import Any

from loguru import logger

from mergeit_ops.llm.usage import Usage

__all__ = ["Progress"]

LINE_EVERY_S = 30.0


class Progress:
    """Shows the counters of a run while it goes on.

    :param usage: the counters, read and never changed.
    :param total: requests in all; None when unknown.
    :param bar: whether to draw a bar; None (the default) draws one when standard error is a terminal.
    """

    def __init__(self, usage: Usage, total: int | None = None, bar: bool | None = None) -> None:
        self._usage = usage
        self._total = total
        self._start = time.monotonic()
        self._bar: Any = None
        if _on_terminal() if bar is None else bar:
            from tqdm import tqdm

            self._bar = tqdm(total=total, desc="LLM", unit="req", dynamic_ncols=True)

    def step(self) -> None:
        """Note one finished request."""
        if self._bar is not None:
            self._bar.set_postfix_str(self._state(), refresh=False)
            self._bar.update()

    async def lines(self) -> None:
        """Log a line every 30 seconds until cancelled, unless there is a bar."""
        while self._bar is None:
            await asyncio.sleep(LINE_EVERY_S)
            done = self._usage.answered + sum(self._usage.failures.values())
            of_all = f" of {self._total}" if self._total is not None else ""
            logger.info(f"LLM: {done}{of_all} requests done, {self._state()}")

    def close(self) -> None:
        """Leave the bar as it stands."""
        if self._bar is not None:
            self._bar.close()

    def _state(self) -> str:
        usage = self._usage
        seconds = max(time.monotonic() - self._start, 1e-9)
        return (
            f"{usage.answered} answered, {sum(usage.failures.values())} failed, {usage.cache_hits} from cache, "
            f"{usage.total_tokens} tokens ({usage.total_tokens / seconds:.0f}/s)"
        )


def _on_terminal() -> bool:
    isatty = getattr(sys.stderr, "isatty", None)
    return bool(isatty and isatty())
