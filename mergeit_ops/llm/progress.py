"""The progress display of a run: a bar on a terminal, otherwise a line every 30 seconds."""

from __future__ import annotations

import asyncio
import sys
import time
from collections.abc import Callable
from typing import Any

from loguru import logger

from mergeit_ops.core.text.counts import many
from mergeit_ops.llm.prices import Prices
from mergeit_ops.llm.usage import Usage
from mergeit_ops.progress import progress_bar

__all__ = ["Progress"]

LINE_EVERY_S = 30.0


class Progress:
    """Shows the counters of a run.

    :param usage: the counters, which are only read.
    :param total: function that returns the number of all requests; None as long as it is unknown.
    :param prices: what tokens cost; None if unknown.
    :param bar: whether to draw a bar; None (the default): only if standard error is a terminal.
    :param clock: monotonic seconds.
    """

    def __init__(
        self,
        usage: Usage,
        total: Callable[[], int | None] = lambda: None,
        *,
        prices: Prices | None = None,
        bar: bool | None = None,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        self._usage = usage
        self._total = total
        self._prices = prices
        self._clock = clock
        self._start = clock()
        self._asked = 0
        self._bar: Any = None
        if _on_terminal() if bar is None else bar:
            self._bar = progress_bar(total(), "LLM", "requests", delay_s=0.0)

    def step(self, *, asked: bool = True) -> None:
        """Record one finished request.

        :param asked: whether it needed a call; an answer from the journal says nothing about the remaining time.
        """
        self._asked += asked
        if self._bar is not None:
            self._bar.total = self._total()
            self._bar.set_postfix_str(self._state(), refresh=False)
            self._bar.update()

    async def lines(self) -> None:
        """Log a line every 30 seconds until cancelled, unless there is a bar."""
        while self._bar is None:
            await asyncio.sleep(LINE_EVERY_S)
            logger.info(self.line())

    def line(self) -> str:
        """Return the state of the run as one line: requests done, tokens and time used, time left."""
        done, total = self._done, self._total()
        parts = [f"{done} of {total}" if total is not None else f"{done}"]
        parts[0] += f" requests done in {_duration(self._elapsed_s)}"
        if total is not None and self._asked and done < total:
            parts.append(f"about {_duration(self._elapsed_s / self._asked * (total - done))} left")
        return f"LLM: {', '.join([*parts, self._state()])}"

    def close(self) -> None:
        """Leave the bar in its state, or log the last line."""
        if self._bar is not None:
            self._bar.close()
        elif self._done:
            logger.info(self.line())

    @property
    def _done(self) -> int:
        return self._usage.answered + sum(self._usage.failures.values())

    @property
    def _elapsed_s(self) -> float:
        return max(self._clock() - self._start, 1e-9)

    def _state(self) -> str:
        usage = self._usage
        state = (
            f"{usage.answered} with a usable answer, {sum(usage.failures.values())} failed, "
            f"{many(usage.calls, 'call')}, "
            f"{usage.cache_hits} from cache, {usage.total_tokens} tokens ({usage.total_tokens / self._elapsed_s:.0f}/s)"
        )
        if self._prices is None:
            return state
        return f"{state}, cost {usage.cost(self._prices):.4g}"


def _duration(seconds: float) -> str:
    """Return seconds as hours, minutes and seconds, e.g. 1:02:03 or 02:03."""
    from tqdm import tqdm

    return str(tqdm.format_interval(round(seconds)))


def _on_terminal() -> bool:
    isatty = getattr(sys.stderr, "isatty", None)
    return bool(isatty and isatty())
