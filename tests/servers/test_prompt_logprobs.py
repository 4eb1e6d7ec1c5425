"""Losses from real servers equal those of the same weights in this process, or a sentence says why there are none."""

from __future__ import annotations

from collections.abc import Iterator
from pathlib import Path
from typing import Any

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.errors import LLMUnavailableError
from mergeit_ops.scorers.response_loss import ResponseLossScorer
from mergeit_ops.scorers.response_loss_api import ResponseLossApiScorer
from tests.servers.models import BOS
from tests.servers.running import WITH_BOS, WITHOUT_BOS, WITHOUT_LOGITS, RealServer

pytestmark = pytest.mark.servers

ROWS = [
    Sample("Name a fruit.", "", "Apple"),
    Sample("Why is the sky blue?", "Say it in 3 words.", "Light is scattered, é and 😀."),
    Sample("Do it.", "", "y"),
    Sample("好吗?", "", "好的。"),
    Sample("Tell a story.", "", "That in the end a thing is that thing. " * 9),
]
MEASURES = ["ifd", "ifd_loss_ratio", "perplexity", "reverse_ifd"]
LINE_BREAK = {
    "without_input": "\n{instruction}\n",
    "with_input": "\n{instruction}\n{input}\n",
    "alone": "\n",
    "reverse": "\n{response}\n",
    "reverse_alone": "\n",
}
"""The prompt `plain` behind a line break."""


def api(server: RealServer, **parameters: Any) -> ResponseLossApiScorer:
    params = {"api_or_hf_model": server.model, "model_params": {"base_url": server.base_url}, "measures": MEASURES}
    return ResponseLossApiScorer(**params | {"cache_path": None, "max_concurrency": 2} | parameters)


def local(models: Path, **parameters: Any) -> list[list[float]]:
    scorer = ResponseLossScorer(hf_model=str(models / "bytes"), measures=MEASURES, device="cpu", **parameters)
    return [[score.value for score in scores] for scores in scorer.measure(ROWS)]


def started(kind: Any, models: Path) -> Iterator[RealServer]:
    if not kind.needs.exists():
        pytest.skip("llama-cpp-python is not installed")
    running = RealServer(kind, models)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture(scope="module")
def with_bos(models) -> Iterator[RealServer]:
    yield from started(WITH_BOS, models)


@pytest.fixture(scope="module")
def without_bos(models) -> Iterator[RealServer]:
    yield from started(WITHOUT_BOS, models)


def assert_alike(found: list[tuple], expected: list[list[float]]) -> None:
    assert [[score.status for score in scores] for scores in found] == [["ok"] * len(MEASURES)] * len(ROWS)
    for scores, theirs in zip(found, expected, strict=True):
        assert [score.value for score in scores] == pytest.approx(theirs, rel=0.01)


@pytest.fixture
def without_logits(models) -> Iterator[RealServer]:
    yield from started(WITHOUT_LOGITS, models)


@pytest.mark.parametrize("prompt", ["alpaca", "vicuna"])
def test_losses_are_those_of_the_model_itself(with_bos, models, prompt):
    assert_alike(api(with_bos, prompt=prompt).measure(ROWS), local(models, prompt=prompt))


def test_a_response_that_stands_alone_needs_a_start(with_bos, models):
    with pytest.raises(LLMUnavailableError, match="no log-probability for the first token"):
        api(with_bos).measure(ROWS)
    expected = local(models, prompt="custom", prompt_template=LINE_BREAK)
    assert_alike(api(with_bos, start_text="\n").measure(ROWS), expected)


def test_a_model_without_bos_in_front_needs_its_text(without_bos, models):
    with pytest.raises(LLMUnavailableError, match="one token late"):
        api(without_bos, start_text="\n").measure(ROWS)
    expected = local(models, prompt="custom", prompt_template=LINE_BREAK)
    assert_alike(api(without_bos, start_text=BOS + "\n").measure(ROWS), expected)


def test_a_row_beyond_the_window_has_no_score(with_bos):
    rows = [ROWS[0], Sample("Name a fruit.", "", "Apple " * 400), ROWS[2]]
    found = api(with_bos, start_text="\n", measures=["ifd"]).score(rows)
    assert [score.status for score in found] == ["ok", "instruction_too_long", "ok"]


def assert_refused(server: RealServer, said: str = "") -> None:
    scorer = api(server, start_text="\n")
    with pytest.raises(LLMUnavailableError, match=f"gives no log-probabilities of a prompt .*{said}"):
        scorer.measure(ROWS)
    assert scorer.figures()["calls"] == 1


def test_servers_without_them_are_refused_at_the_first_row(server):
    if server.kind.prompt_logprobs:
        pytest.skip("it has them")
    assert_refused(server)


def test_llama_cpp_python_without_logits_is_refused_at_the_first_row(without_logits):
    assert_refused(without_logits, "logits_all=False")
