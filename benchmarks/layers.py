"""The processor time of a run, by layer of code.

The time of each thread is sampled every two milliseconds of processor time, and counts for the code that the thread is
in. C code counts for the Python function that called it, and the standard library for its caller. A thread that waits
for another one is in the event loop, so the event loop and system calls get more than their share.
"""

from __future__ import annotations

import signal
import sys
import threading
import time
from collections import Counter
from collections.abc import Iterator, Mapping
from contextlib import contextmanager
from types import FrameType

_EVERY_S = 0.002
_OTHER = "everything else"

LAYERS: Mapping[str, tuple[str, ...]] = {
    "openai package, with httpx and pydantic": (
        *("/openai/", "/httpx/", "/httpx2/", "/httpcore/", "/httpcore2/", "/httpx_aiohttp/", "/pydantic/", "/anyio/"),
    ),
    "aiohttp": ("/aiohttp/", "/yarl/", "/multidict/", "/aiohappyeyeballs/", "/propcache/"),
    "event loop and threads": ("/asyncio/", "/concurrent/futures/", "/selectors.py", "/threading.py"),
    "retries, a library": ("/tenacity/",),
    "JSON": ("/json/",),
    "journal": ("/mergeit_ops/llm/journal",),
    "address, errors and responses": (
        *("/mergeit_ops/llm/connection", "/mergeit_ops/llm/straight", "/mergeit_ops/llm/client"),
        *("/mergeit_ops/llm/responses", "/mergeit_ops/llm/response_guard", "/mergeit_ops/llm/failures"),
        *("/mergeit_ops/llm/modes", "/mergeit_ops/llm/classify"),
    ),
    "places, budgets, counters": ("/mergeit_ops/llm/",),
    "checks of answers": ("/mergeit_ops/core/merging/replies", "/mergeit_ops/core/merging/checks"),
    "languages of rows": ("/mergeit_ops/core/text/lang", "/langid"),
    "words of answers": ("/mergeit_ops/core/text/",),
    "prompts": ("/mergeit_ops/core/merging/prompts", "/mergeit_ops/core/merging/conversations"),
    "pairing, reading and writing rows": ("/mergeit_ops/", "/datasets/", "/numpy/", "/pyarrow/"),
}
"""Parts of code paths by layer; the first match counts."""


@contextmanager
def processor_time_by_layer() -> Iterator[Counter[str]]:
    """Collect the processor seconds of all threads by layer while a block runs in the main thread. Linux only."""
    seconds: Counter[str] = Counter()
    used = {threading.get_ident(): time.thread_time()}

    def look(_: int, running: FrameType | None) -> None:
        frames = sys._current_frames() | {threading.get_ident(): running}
        for thread in threading.enumerate():
            if thread.ident in frames:
                now = time.clock_gettime(time.pthread_getcpuclockid(thread.ident))
                # A new thread can have the id of one that has ended.
                seconds[_layer_of(frames[thread.ident])] += max(0.0, now - used.get(thread.ident, 0.0))
                used[thread.ident] = now

    before = signal.signal(signal.SIGPROF, look)
    signal.setitimer(signal.ITIMER_PROF, _EVERY_S, _EVERY_S)
    try:
        yield seconds
    finally:
        signal.setitimer(signal.ITIMER_PROF, 0)
        signal.signal(signal.SIGPROF, before)


def _layer_of(frame: FrameType | None) -> str:
    while frame is not None:
        path = frame.f_code.co_filename
        for layer, parts in LAYERS.items():
            if any(part in path for part in parts):
                return layer
        frame = frame.f_back
    return _OTHER
