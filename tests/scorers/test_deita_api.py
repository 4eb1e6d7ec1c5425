"""The Deita scorer behind a server: the exact prompt, the six digits, and no score where one is missing."""

from __future__ import annotations

import pytest

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.deita import complexity_prompt, quality_prompt
from mergeit_ops.core.scoring.score import Score
from mergeit_ops.errors import LLMUnavailableError, RecipeError
from mergeit_ops.scorers.deita_api import DeitaApiScorer
from tests.llm_server import FakeLLMServer, error, logprobs_reply

ROW = Sample("Name a fruit. ", "It is red.", "Apple")
# Logits 0, 1, 2, 3, 2, 1, whatever their offset: 3.927361.
GOLDEN = dict(zip("123456", (-5.0, -4.0, -3.0, -2.0, -3.0, -4.0), strict=True))


def scorer_for(server: FakeLLMServer, **parameters) -> DeitaApiScorer:
    return DeitaApiScorer(model_params={"base_url": server.base_url}, **parameters)


@pytest.mark.parametrize(
    ("with_input", "question"), [(True, "Name a fruit. It is red."), (False, "Name a fruit. ")], ids=["with", "without"]
)
def test_the_prompt_is_the_scorers_own(with_input, question):
    with FakeLLMServer(lambda body: logprobs_reply(GOLDEN)) as server:
        (score,) = scorer_for(server, with_input=with_input).score([ROW])
        (body,) = server.requests
    assert body["prompt"] == quality_prompt(question, "Apple")
    assert body["model"] == "hkust-nlp/deita-quality-scorer"
    assert (body["max_tokens"], body["temperature"], body["logprobs"]) == (1, 0, 20)
    assert score.value == pytest.approx(3.927361, abs=1e-6)


def test_complexity_is_asked_of_the_question_alone():
    with FakeLLMServer(lambda body: logprobs_reply(GOLDEN)) as server:
        scorer = scorer_for(server, kind="complexity")
        (score,) = scorer.score([Sample("Name a fruit.", "", "")])
        (body,) = server.requests
    assert (body["prompt"], body["model"]) == (complexity_prompt("Name a fruit."), "hkust-nlp/deita-complexity-scorer")
    assert scorer.measures == {"complexity": "deita_complexity_score"}
    assert score.value == pytest.approx(3.927361, abs=1e-6)


@pytest.mark.parametrize("shape", ["completions", "chat"])
@pytest.mark.parametrize("spelling", ["{}", "▁{}", " {}"])
def test_every_way_of_writing_the_digits_gives_the_same_score(shape, spelling):
    listed = {spelling.format(digit): value for digit, value in GOLDEN.items()}
    with FakeLLMServer(lambda body: logprobs_reply(listed, shape=shape)) as server:
        (score,) = scorer_for(server).score([ROW])
    assert score.value == pytest.approx(3.927361, abs=1e-6)


def test_a_missing_digit_is_no_score_and_not_three():
    def answer(body):
        listed = dict(GOLDEN)
        if "bad" in body["prompt"]:
            del listed["6"]
        return logprobs_reply(listed)

    with FakeLLMServer(answer) as server:
        bad, good = scorer_for(server).score([Sample("a", "", "bad"), ROW])
        assert bad == Score.missing("digits_missing")
        assert good.value is not None
        assert len(server.requests) == 2


def test_rows_that_say_nothing_are_not_paid_for():
    with FakeLLMServer(lambda body: logprobs_reply(GOLDEN)) as server:
        scores = scorer_for(server).score(
            [Sample("a", "", " ...\n"), Sample(" ", "", "x"), Sample("", "material", "x")]
        )
        assert [score.status for score in scores] == ["empty_response", "empty_instruction", "ok"]
        assert len(server.requests) == 1


def test_a_prompt_that_is_too_long_costs_one_row():
    def answer(body):
        return error(400, "maximum context length") if len(body["prompt"]) > 1000 else logprobs_reply(GOLDEN)

    with FakeLLMServer(answer) as server:
        scores = scorer_for(server).score([ROW, Sample("a", "", "x" * 2000), Sample("b", "", "c")])
    assert [score.status for score in scores] == ["ok", "too_long", "ok"]


def test_a_server_without_logprobs_stops_at_the_first_row():
    with FakeLLMServer(lambda body: logprobs_reply(None)) as server:
        with pytest.raises(LLMUnavailableError, match="without log-probabilities"):
            scorer_for(server).score([Sample(str(number), "", "x") for number in range(30)])
        assert len(server.requests) == 1


def test_a_second_run_pays_nothing():
    with FakeLLMServer(lambda body: logprobs_reply(GOLDEN)) as server:
        first = scorer_for(server).score([ROW])
        again = scorer_for(server)
        assert again.score([ROW]) == first
        assert again.figures()["cache_hits"] == 1
        assert len(server.requests) == 1


@pytest.mark.parametrize(
    ("parameters", "words"),
    [
        ({"top_logprobs": 5}, "top_logprobs must be a whole number of at least 6, got 5"),
        ({"with_input": 1}, "with_input must be true or false, got 1"),
        ({"max_concurrency": 0}, "max_concurrency"),
        ({"model_params": {"default_headers": {"Authorization": "Bearer hunter2"}}}, "looks like a secret"),
    ],
)
def test_bad_parameters_are_one_sentence(parameters, words):
    with pytest.raises(RecipeError, match=f"deita_api: .*{words}") as caught:
        DeitaApiScorer(**parameters)
    assert "hunter2" not in str(caught.value)
