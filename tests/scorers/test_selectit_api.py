"""SelectIT behind a server with log-probabilities."""

import math

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.selectit import RATING_PROMPTS
from mergeit_ops.scorers import build_scorer
from tests.llm_server import FakeLLMServer, logprobs_reply

ROWS = [Sample("Name a fruit.", "It is red.", "Apple"), Sample("Count to three.", "", "one two three")]


GOLDEN = [(0.02, 0.03, 0.05, 0.2, 0.1), (1e-30, 1e-30, 1e-30, 1e-30, 1.0), (0.1, 0.1, 0.1, 0.2, 0.5)]


def test_a_server_with_log_probabilities_gives_the_golden_score():
    """Section G of the sheet: three prompts, mean .675121, std .428288."""

    def answer(body):
        (number,) = (n for n, prompt in enumerate(RATING_PROMPTS[:3]) if body["prompt"].startswith(prompt))
        listed = dict(zip("12345", map(math.log, GOLDEN[number]), strict=True))
        if "bad" in body["prompt"] and number == 1:
            del listed["3"]
        return logprobs_reply(listed)

    with FakeLLMServer(answer) as server:
        params = {"api_or_hf_model": "m", "num_prompts": 3, "model_params": {"base_url": server.base_url}}
        made = build_scorer("selectit_api", params)
        good, bad, blank = made.score([ROWS[0], Sample("a", "", "bad"), Sample("a", "", " ")])
        assert len(server.requests) == 6
        assert made.figures()["calls"] == 6
    assert good.value == pytest.approx(0.621855, abs=1e-5)
    assert bad.status == "digits_missing"
    assert blank.status == "empty_response"
