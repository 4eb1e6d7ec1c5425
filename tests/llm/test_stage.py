"""What the stage holds does not grow with the number of requests that wait."""

from __future__ import annotations

import asyncio
import tracemalloc
from collections.abc import Iterator
from typing import Any

from mergeit_ops.llm.backend import Completion
from mergeit_ops.llm.requests import LLMRequest
from tests.llm.conftest import scripted_engine, text_request

SIZE = 20_000


def peak_of(count: int, folder: Any) -> int:
    """Return the most bytes that a run over so many requests of 20 KB held at once."""

    async def complete(messages: Any, params: Any, schema: Any) -> Completion:
        await asyncio.sleep(0)
        return Completion(f"{messages[0]['content'][:9]} {'y' * SIZE}")

    def source() -> Iterator[LLMRequest[str]]:
        return (text_request(number, f"{number:06d}" * (SIZE // 6)) for number in range(count))

    answered = 0

    def note(outcome: Any) -> None:
        nonlocal answered
        answered += bool(outcome.answers)

    engine = scripted_engine(complete, max_concurrency=16, cache_path=str(folder / f"{count}.db"))
    tracemalloc.start()
    try:
        engine.run(source(), note)
        _, peak = tracemalloc.get_traced_memory()
    finally:
        tracemalloc.stop()
    assert answered == count
    return peak


def test_the_peak_is_the_same_for_eight_times_as_many_requests(tmp_path):
    peak_of(50, tmp_path)
    few, many = peak_of(200, tmp_path), peak_of(1_600, tmp_path)
    print(f"peak: {few / 1e6:.1f} MB for 200 requests, {many / 1e6:.1f} MB for 1,600")
    # Requests and answers together are 64 MB; a tenth of them held would be seen.
    assert many - few < 1_600 * SIZE / 10
