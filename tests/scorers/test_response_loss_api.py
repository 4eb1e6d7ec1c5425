"""IFD and perplexity behind a server: the values of the local scorer, one call a text, no score for other tokens."""

from __future__ import annotations

import json
import math
import pickle
from typing import Any

import pytest

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.core.scoring.response_loss import MEASURES
from mergeit_ops.errors import LLMUnavailableError, RecipeError, TooManyFailuresError
from mergeit_ops.ops import QualityGateFilter, SampleScoreFilter
from mergeit_ops.scorers import build_scorer
from mergeit_ops.scorers.response_loss import ResponseLossScorer
from mergeit_ops.scorers.response_loss_api import ResponseLossApiScorer
from tests import tiny_models
from tests.llm_server import FakeLLMServer, Reply, error, listed_prompt_reply
from tests.loss_server import POSITIONS, answers_of
from tests.recipe_runs import make_dataset

EVERY = [measure for measure in MEASURES if measure != "upd"]
START = "<|endoftext|>"
ROWS = [
    Sample("Name a fruit.", "", "Apple"),
    Sample("Why is it so?", "It is red.", "Because é and 😀 are so."),
    Sample("Do.", "", "y"),
    Sample("好吗?", "", "好的。"),
]


def api(server: FakeLLMServer, **parameters: Any) -> ResponseLossApiScorer:
    params = {"api_or_hf_model": "m", "model_params": {"base_url": server.base_url}, "measures": EVERY}
    return ResponseLossApiScorer(**params | parameters)


def local(**parameters: Any) -> list[list[float]]:
    scorer = ResponseLossScorer(**{"hf_model": tiny_models.gpt2_folder(POSITIONS), "measures": EVERY} | parameters)
    return [[score.value for score in scores] for scores in scorer.measure(ROWS)]


def values(rows: list[tuple]) -> list[list[float | None]]:
    return [[score.value for score in scores] for scores in rows]


def statuses(rows: list[tuple]) -> list[list[str]]:
    return [[score.status for score in scores] for scores in rows]


def characters(logprobs: dict[str, list[float]]):
    """A server whose tokens are characters, with the log-probabilities of the last ones from a table by prompt."""

    def answer(body: dict[str, Any]) -> Reply:
        prompt = body["prompt"]
        table = logprobs[prompt]
        listed = [None, *[-9.0] * (len(prompt) - len(table) - 1), *table]
        return listed_prompt_reply(list(zip(prompt, listed, strict=True)))

    return answer


@pytest.mark.parametrize(
    ("given", "alone", "loss_ratio", "ifd"),
    [
        ([-1, -1, -1], [-2, -2, -2], 0.5, 0.367879),
        ([-3.6], [-4], 0.9, 0.670320),
        ([-0.4, -0.4], [-0.5, -0.5], 0.8, 0.904837),
        ([-2.2], [-2], 1.1, 1.221403),
        ([-1, -2], [-1.5, -1.5], 1.0, 1.0),
        # The first token counts in both.
        ([-3, -1, -1], [-4, -1.2, -1.1], 0.793651, 0.648344),
    ],
)
def test_the_golden_values(given, alone, loss_ratio, ifd):
    response = "xyz"[: len(given)]
    with FakeLLMServer(characters({"\nQ\n" + response: given, "\n" + response: alone})) as server:
        scorer = api(server, start_text="\n", measures=["ifd", "ifd_loss_ratio", "perplexity"])
        ((first, second, third),) = scorer.measure([Sample("Q", "", response)])
    assert first.value == pytest.approx(ifd, abs=1e-6)
    assert second.value == pytest.approx(loss_ratio, abs=1e-6)
    assert third.value == pytest.approx(math.exp(-sum(given) / len(given)), abs=1e-6)


def test_the_golden_value_of_reverse_ifd():
    """Losses of 1.0 and 1.5: .606531."""
    with FakeLLMServer(characters({"\nA\nQ": [-1.0], "\nQ": [-1.5]})) as server:
        ((score,),) = api(server, start_text="\n", measures=["reverse_ifd"]).measure([Sample("Q", "", "A")])
    assert score.value == pytest.approx(0.606531, abs=1e-6)


@pytest.mark.parametrize("prompt", ["plain", "alpaca", "vicuna"])
@pytest.mark.parametrize("echoes", [True, False], ids=["echo", "prompt_logprobs"])
@pytest.mark.parametrize(("puts_bos", "start_text"), [(True, ""), (False, START)])
def test_the_scores_are_those_of_the_same_weights_in_this_process(prompt, echoes, puts_bos, start_text):
    with FakeLLMServer(answers_of("vllm", puts_bos=puts_bos, echoes=echoes)) as server:
        found = values(api(server, prompt=prompt, start_text=start_text).measure(ROWS))
    for mine, expected in zip(found, local(prompt=prompt), strict=True):
        assert mine == pytest.approx(expected, rel=1e-5)


CHAT = (Round("Name a fruit.", "Apple"), Round("Call the tool.", " "), Round("Why?", "It is red, and sweet."))


@pytest.mark.parametrize("prompt", ["plain", "alpaca", "vicuna"])
@pytest.mark.parametrize("turns", ["mean", "max"])
def test_every_turn_of_a_conversation_counts_as_for_the_local_scorer(prompt, turns):
    row = Sample("Name a fruit.\nCall the tool.\nWhy?", "", "Apple\nIt is red, and sweet.", rounds=CHAT)
    scorer = ResponseLossScorer(hf_model=tiny_models.gpt2_folder(POSITIONS), measures=EVERY, prompt=prompt, turns=turns)
    with FakeLLMServer(answers_of("vllm")) as server:
        (found,) = values(api(server, prompt=prompt, turns=turns, start_text=START).measure([row]))
    assert found == pytest.approx(values(scorer.measure([row]))[0], rel=1e-5)


def test_a_template_of_ones_own_is_that_of_the_local_scorer():
    texts = {"without_input": "{instruction}: ", "with_input": "{instruction} {input}: ", "alone": "So: "}
    texts |= {"reverse": "{response}? ", "reverse_alone": "So? "}
    parameters = {"prompt": "custom", "prompt_template": texts}
    with FakeLLMServer(answers_of("vllm")) as server:
        found = values(api(server, start_text=START, **parameters).measure(ROWS))
    for mine, expected in zip(found, local(**parameters), strict=True):
        assert mine == pytest.approx(expected, rel=1e-5)


@pytest.mark.parametrize(("puts_bos", "start_text"), [(True, "\n"), (False, START + "\n")])
def test_llama_cpp_python_needs_a_start_behind_bos(puts_bos, start_text):
    """It gives the first token behind BOS no loss: the local scorer has the same line break in its prompt."""
    texts = {"without_input": "\n{instruction}\n", "with_input": "\n{instruction}\n{input}\n", "alone": "\n"}
    texts |= {"reverse": "\n{response}\n", "reverse_alone": "\n"}
    measures = ["ifd", "ifd_loss_ratio", "perplexity", "reverse_ifd"]
    with FakeLLMServer(answers_of("llama-cpp-python", puts_bos=puts_bos)) as server:
        found = values(api(server, start_text=start_text, measures=measures).measure(ROWS))
    expected = local(prompt="custom", prompt_template=texts, measures=measures)
    for mine, theirs in zip(found, expected, strict=True):
        assert mine == pytest.approx(theirs, rel=1e-5)


@pytest.mark.parametrize(
    ("answer", "start_text", "said"),
    [
        (answers_of("vllm"), "", "no log-probability for the first token"),
        (answers_of("llama-cpp-python", puts_bos=True), "", "no log-probability for the first token"),
        (answers_of("llama-cpp-python"), START, "no log-probability for the first token"),
        (answers_of("llama-cpp-python"), "\n", "one token late"),
        (answers_of("vllm", echoes=False), "", "no log-probability for the first token"),
    ],
)
def test_losses_that_would_be_of_other_tokens_stop_the_run_at_the_first_row(answer, start_text, said):
    with FakeLLMServer(answer) as server:
        scorer = api(server, start_text=start_text, measures=["ifd"])
        with pytest.raises(LLMUnavailableError, match=said):
            scorer.score([Sample(f"Say {number}.", "", f"{number} it is.") for number in range(40)])
        assert len(server.requests) <= 2
        assert scorer.figures()["calls"] == 1


def test_a_perplexity_needs_no_start():
    with FakeLLMServer(answers_of("vllm")) as server:
        found = values(api(server, measures=["perplexity"]).measure(ROWS))
    expected = local(measures=["perplexity"], start_token="released")
    assert [row[0] for row in found] == pytest.approx([row[0] for row in expected], rel=1e-5)


def test_a_text_is_asked_for_once_whatever_the_measures():
    with FakeLLMServer(answers_of("vllm")) as server:
        scorer = api(server, start_text=START)
        scorer.measure([*ROWS[:2], *ROWS[:2]])
        scorer.measure(ROWS[:2])
        asked = [body["prompt"] for body in server.requests]
    assert len(asked) == len(set(asked)) == 8
    assert START + "Name a fruit.\nApple" in asked
    assert scorer.figures()["calls"] == 8


def test_a_second_run_pays_nothing_and_other_measures_only_for_what_is_new():
    with FakeLLMServer(answers_of("vllm")) as server:
        first = api(server, start_text=START, measures=["ifd"]).measure(ROWS)
        assert len(server.requests) == 8
        again = api(server, start_text=START, measures=["ifd"])
        assert again.measure(ROWS) == first
        assert (again.figures()["calls"], again.figures()["cache_hits"]) == (0, 8)
        api(server, start_text=START).measure(ROWS)
        assert len(server.requests) == 16


def test_prompt_tokens_are_counted_and_the_budget_holds():
    with FakeLLMServer(answers_of("vllm")) as server:
        scorer = api(server, start_text=START, measures=["perplexity"], max_total_tokens=120, max_concurrency=1)
        rows = [Sample(f"Say {number}.", "", "It is so. " * 3) for number in range(9)]
        found = statuses(scorer.measure(rows))
        figures = scorer.figures()
        # A token is a byte here, and the start is one token.
        sent = sum(len(body["prompt"]) - len(START) + 1 for body in server.requests)
    assert figures["prompt_tokens"] == sent
    assert figures["completion_tokens"] == len(server.requests)
    assert ["budget"] in found
    assert sent <= 120


def test_rows_without_a_score_say_why():
    rows = [
        Sample("Do.", "", "  "),
        Sample("Do.", "", "x" * 200),
        Sample("", "", "Done."),
        Sample("Do.", "", "Done."),
    ]
    with FakeLLMServer(answers_of("vllm", window=100)) as server:
        found = statuses(api(server, start_text=START, measures=["ifd", "reverse_ifd"]).measure(rows))
    assert found == [
        ["empty_response", "empty_response"],
        ["instruction_too_long", "instruction_too_long"],
        ["ok", "response_too_short"],
        ["ok", "ok"],
    ]


def test_a_loss_that_is_infinite_is_no_score():
    with FakeLLMServer(characters({"\nQ\nA": [-9999.0], "\nA": [-1.0]})) as server:
        found = statuses(api(server, start_text="\n", measures=["ifd", "perplexity"]).measure([Sample("Q", "", "A")]))
    assert found == [["not_finite", "not_finite"]]


def pieces(*pairs: tuple[str, list[str]]):
    """A server that cuts some prompts into given tokens, and others into characters."""
    table = dict(pairs)

    def answer(body: dict[str, Any]) -> Reply:
        tokens = table.get(body["prompt"], list(body["prompt"]))
        return listed_prompt_reply([(token, None if not place else -1.0) for place, token in enumerate(tokens)])

    return answer


def test_a_token_across_the_border_and_other_tokens_are_no_score():
    cut = pieces(("\nQ\n\nA", ["\n", "Q", "\n\n", "A"]), ("\nR\nBC", ["\n", "R", "\n", "BC"]))
    rows = [Sample("Q", "", "\nA"), Sample("R", "", "BC"), Sample("S", "", "BC")]
    with FakeLLMServer(cut) as server:
        measures = ["ifd", "perplexity", "sample_perplexity"]
        found = statuses(api(server, start_text="\n", measures=measures).measure(rows))
    assert found == [
        ["token_across_border", "token_across_border", "ok"],
        ["tokens_differ", "ok", "ok"],
        ["ok", "ok", "ok"],
    ]


def test_a_prompt_that_does_not_suit_the_tokens_stops_the_run_early():
    """Tokenizers of the Llama 2 kind: a blank before a text that stands alone."""

    def answer(body: dict[str, Any]) -> Reply:
        prompt = body["prompt"]
        tokens = ["<s>", prompt] if "\n" not in prompt else ["<s>", *prompt]
        return listed_prompt_reply([(token, None if not place else -1.0) for place, token in enumerate(tokens)])

    rows = [Sample(f"Say {number}.", "", f"{number} it is.") for number in range(200)]
    with FakeLLMServer(answer) as server:
        scorer = api(server, measures=["ifd"])
        said = r"20 of 20 rows have no score .*tokens_differ: 20.*start_text: \"\\n\" for prompt: plain\. 40 answers"
        with pytest.raises(TooManyFailuresError, match=said):
            scorer.score(rows)
        assert len(server.requests) == 40
        assert [score.status for score in api(server, start_text="\n", measures=["ifd"]).score(rows[:3])] == ["ok"] * 3
        few = api(server, measures=["ifd"])
        few.score(rows[:3])
        with pytest.raises(TooManyFailuresError, match="3 of 3 rows"):
            few.finish()


def test_what_a_row_gets_does_not_depend_on_batches():
    with FakeLLMServer(answers_of("vllm")) as server:
        whole = api(server, start_text=START, cache_path=None).measure(ROWS)
        scorer = api(server, start_text=START, cache_path=None)
        assert [scores for row in reversed(ROWS) for scores in scorer.measure([row])] == whole[::-1]


def test_a_server_without_prompt_logprobs_is_refused_in_a_sentence():
    def llama_cpp(body: dict[str, Any]) -> Reply:
        return error(400, "Only no echo is supported") if body.get("echo") else listed_prompt_reply([])

    with FakeLLMServer(llama_cpp) as server:
        with pytest.raises(LLMUnavailableError, match=r"Only no echo is supported.*llama\.cpp's own server has none"):
            api(server, start_text=START).measure([Sample(str(number), "", "x") for number in range(50)])
        assert len(server.requests) == 2


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"measures": ["upd"]}, "'upd' needs the probabilities of all words"),
        ({"prompt": "chat"}, "`prompt: chat` needs the model's chat template, which only the server has"),
        ({"prompt": "llama"}, "prompt must be one of 'plain', 'alpaca', 'vicuna', 'custom'"),
        ({"prompt": "custom"}, "`prompt: custom` needs a prompt_template"),
        ({"measures": []}, "measures must be"),
        ({"measures": ["ppl"]}, "measures must be"),
        ({"start_text": None}, "start_text must be a text"),
        ({"max_concurrency": 0}, "max_concurrency must be"),
        (
            {
                "measures": ["reverse_ifd"],
                "prompt": "custom",
                "prompt_template": {"without_input": "{instruction}", "with_input": "{instruction}"},
            },
            "for reverse_ifd the prompt_template needs the field 'reverse'",
        ),
        ({"model_params": {"default_headers": {"Authorization": "Bearer hunter2"}}}, "looks like a secret"),
    ],
)
def test_parameters_that_cannot_work_are_refused(parameters, said):
    with pytest.raises(RecipeError, match=f"response_loss_api: .*{said}") as caught:
        build_scorer("response_loss_api", {"api_or_hf_model": "m"} | parameters)
    assert "hunter2" not in str(caught.value)


def test_sampling_parameters_do_not_belong_here():
    with pytest.raises(RecipeError, match="unexpected keyword argument 'sampling_params'"):
        build_scorer("response_loss_api", {"api_or_hf_model": "m", "sampling_params": {}})


TABLE = [{"instruction": row.instruction, "input": row.input, "output": row.output} for row in ROWS]


def test_the_stats_are_those_of_the_local_scorer_and_say_what_made_them():
    with FakeLLMServer(answers_of("vllm")) as server:
        params = {"api_or_hf_model": "m", "start_text": START, "measures": ["ifd", "perplexity"]}
        params |= {"model_params": {"base_url": server.base_url}}
        operator = SampleScoreFilter(scorer="response_loss_api", scorer_params=params, max_score=1e9)
        behind = [row[STATS] for row in operator.run(make_dataset(TABLE))]
    of_local = {"hf_model": tiny_models.gpt2_folder(POSITIONS), "measures": ["ifd", "perplexity"]}
    here = [
        row[STATS] for row in SampleScoreFilter(scorer="response_loss", scorer_params=of_local).run(make_dataset(TABLE))
    ]
    for mine, theirs in zip(behind, here, strict=True):
        assert set(mine) == set(theirs)
        assert mine["ifd"] == pytest.approx(theirs["ifd"], rel=1e-5)
        assert mine["ifd_made_by"] != theirs["ifd_made_by"]


def test_dj_analyze_asks_nothing():
    with FakeLLMServer(answers_of("vllm")) as server:
        params = asked(["ifd"]) | {"model_params": {"base_url": server.base_url}}
        looking = SampleScoreFilter(scorer="response_loss_api", scorer_params=params, score_all=True)
        looking.process = None  # as Data-Juicer's analyzer does
        looking.run(make_dataset(TABLE))
        assert server.requests == []


def test_it_is_never_asked_without_bounds():
    with pytest.raises(RecipeError, match="score_all"):
        SampleScoreFilter(scorer="response_loss_api", scorer_params=asked(["ifd"]))


def test_the_gate_takes_it_and_refuses_a_perplexity():
    assert QualityGateFilter(scorer="response_loss_api", scorer_params=asked(["ifd", "reverse_ifd"]), max_reverse_ifd=1)
    with pytest.raises(RecipeError, match="of a perplexity the lower one is better"):
        QualityGateFilter(scorer="response_loss_api", scorer_params=asked(["perplexity"]))


def asked(measures: list[str]) -> dict[str, Any]:
    return {"api_or_hf_model": "m", "measures": measures, "model_params": {"base_url": "http://127.0.0.1:9/v1"}}


def test_a_cascade_and_plain_data():
    cascade = {"cheap": {"scorer": "response_loss_api", **asked(["ifd"])}, "judge": "tests.user_scorers:ByLength"}
    made = build_scorer("cascade", cascade)
    assert len(made.engines()) == 1
    alone = build_scorer("response_loss_api", asked(["ifd"]))
    assert pickle.loads(pickle.dumps(alone)).identity() == alone.identity()
    json.dumps(alone.identity())
