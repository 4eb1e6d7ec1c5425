"""MIWV by a causal language model: the golden values, the definition, the neighbours, and what is in the way."""

import math

import numpy as np
import pytest
from transformers import AutoModelForCausalLM, AutoTokenizer

from mergeit_ops.core.columns import EMBEDDING, ROW_ID, STATS
from mergeit_ops.core.rows.identity import content_digests
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.errors import RecipeError, ScorerError
from mergeit_ops.jobs import local_rows
from mergeit_ops.llm import losses
from mergeit_ops.ops import PoolScoreMapper
from mergeit_ops.scorers import build_scorer
from mergeit_ops.scorers.miwv import Miwv
from mergeit_ops.scorers.pool import POOL_SCORERS
from tests import tiny_models
from tests.recipe_runs import make_dataset

GOLDEN = np.array([(1, 0), (0.8, 0.6), (0, 1), (0.6, 0.8)], np.float32)
SAMPLES = [
    Sample("one", "", "eins"),
    Sample("two", "x", "zwei"),
    Sample("three", "", "drei"),
    Sample("four", "", "vier"),
]


def scorer(**parameters) -> Miwv:
    return build_scorer("miwv", {"hf_model": tiny_models.gpt2_folder(), "cache_path": None, **parameters}, POOL_SCORERS)


def pool(samples=SAMPLES, vectors=GOLDEN) -> Pool:
    return Pool(vectors, samples=samples, row_ids=[f"id{row}" for row in range(len(samples))])


def rows(samples=SAMPLES, vectors=GOLDEN) -> list[dict]:
    texts = encode_vectors(np.asarray(vectors, np.float32))
    fields = ("instruction", "input", "output")
    return [
        {name: getattr(sample, name) for name in fields} | {EMBEDDING: text}
        for sample, text in zip(samples, texts, strict=True)
    ]


def mapper(**parameters) -> PoolScoreMapper:
    return PoolScoreMapper(scorer="miwv", scorer_params={"hf_model": tiny_models.gpt2_folder(), **parameters})


def test_the_golden_log_probabilities_give_the_golden_values(monkeypatch):
    """Section B of the sheet: MIWV -1, .3, 0, .4; by rank 3, 1, 2, 0."""
    zero = [[-1, -2, -3], [-0.5, -0.5], [-2] * 4, [-1.2]]
    one = [[-0.5, -1, -1.5], [-1, -0.6], [-2] * 4, [-1.6]]
    told = [-np.mean(part) for pair in zip(zero, one, strict=True) for part in pair]
    monkeypatch.setattr(losses.LossModel, "mean_losses", lambda self, spans: told[: len(spans)])
    made = scorer()
    known = made.prepare(pool())
    found = [scores[0].value for scores in made.score(SAMPLES, known)]
    assert found == pytest.approx([-1, 0.3, 0, 0.4])
    assert np.argsort(found)[::-1].tolist() == [3, 1, 2, 0]
    assert made.notes(known) == [("id1",), ("id3",), ("id3",), ("id1",)]


def loss(text: str, response: str) -> float:
    """What transformers says about a text, of which the response counts."""
    folder = tiny_models.gpt2_folder()
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)
    ids = tokenizer("<|endoftext|>" + text + response, return_tensors="pt")["input_ids"]
    labels = ids.clone()
    labels[0, : -len(response)] = -100  # a token is a byte
    return model(input_ids=ids, labels=labels).loss.item()


def test_scores_are_those_of_the_definition_and_go_to_the_stats_with_the_neighbour(monkeypatch):
    monkeypatch.setattr(local_rows, "READ_ROWS", 3)
    given = rows()
    scored = list(mapper().run(make_dataset(given)))
    ids = content_digests({name: [row[name] for row in given] for name in ("instruction", "input", "output")}, 4)
    for number, other in enumerate([1, 3, 3, 1]):
        stats, shot, asked = scored[number].pop(STATS), SAMPLES[other], SAMPLES[number]
        assert scored[number] == given[number]
        demo = "".join(f"{text}\n" for text in (shot.instruction, shot.input) if text) + shot.output + "\n\n"
        prompt = "".join(f"{text}\n" for text in (asked.instruction, asked.input) if text)
        zero, one = loss(prompt, asked.output), loss(demo + prompt, asked.output)
        assert stats["miwv_zero_shot_loss"] == pytest.approx(zero, abs=1e-4)
        assert stats["miwv_one_shot_loss"] == pytest.approx(one, abs=1e-4)
        assert stats["miwv"] == pytest.approx(one - zero, abs=2e-4)
        assert stats["miwv_similarity"] == pytest.approx(float(GOLDEN[number] @ GOLDEN[other]), abs=1e-6)
        assert stats["miwv_neighbour"] == ids[other]
        assert stats["miwv_status"] == "ok"


def test_ids_that_rows_bring_name_the_neighbours():
    given = [row | {ROW_ID: f"mine{number}"} for number, row in enumerate(rows())]
    found = [row[STATS]["miwv_neighbour"] for row in mapper().run(make_dataset(given))]
    assert found == ["mine1", "mine3", "mine3", "mine1"]


def test_another_order_of_the_rows_changes_no_score():
    made = scorer()
    turned = [2, 0, 3, 1]
    first = made.score(SAMPLES, made.prepare(pool()))
    samples = [SAMPLES[row] for row in turned]
    second = made.score(samples, made.prepare(pool(samples, GOLDEN[turned])))
    for row, place in enumerate(turned):
        assert [score.value for score in second[row]] == pytest.approx(
            [score.value for score in first[place]], abs=1e-5
        )


def test_rows_without_a_score_say_why():
    long = Sample("say", "", "y" * 110)
    given = [Sample("a", "", "b"), Sample("c", "", " "), Sample("x" * 200, "", "d"), long, Sample("e", "", "f")]
    vectors = np.array([(1, 0), (0.8, 0.6), (0, 1), (0.6, 0.8), (0, 0)], np.float32)
    made = scorer(max_length=100)
    found = made.score(given, made.prepare(pool(given, vectors)))
    assert [row[0].status for row in found] == [
        "ok",
        "empty_response",
        "instruction_too_long",
        "demo_truncated",
        "no_neighbour",
    ]
    assert [row[1].status for row in found][3:] == ["ok", "ok"]
    # The long response, whose neighbour is left out too, but not the row without a response or the one without room.
    assert made.cut_rows.cut == 1
    assert not any(math.isnan(score.value) for row in found for score in row if score.value is not None)
    alone = rows(SAMPLES[:1], GOLDEN[:1])
    assert mapper().run(make_dataset(alone))[0][STATS]["miwv_status"] == "no_neighbour"


def test_copies_are_warned_about_once_with_their_number(lines):
    given = [*SAMPLES, SAMPLES[0], Sample(SAMPLES[0].instruction, "", "another")]
    vectors = np.concatenate([GOLDEN, GOLDEN[[0, 0]]])
    found = [row[STATS]["miwv"] for row in mapper().run(make_dataset(rows(given, vectors)))]
    assert sum("the miwv of 2 rows is low only because the nearest row is a copy" in line for line in lines) == 1
    assert found[0] == pytest.approx(found[4], abs=1e-5)


def test_more_rows_than_it_is_meant_for_are_refused(monkeypatch):
    monkeypatch.setattr("mergeit_ops.scorers.pool._MOST_PAIRWISE_ROWS", 3)
    with pytest.raises(ScorerError, match=r"pool_score_mapper: miwv .* up to 3 rows; there are 4"):
        mapper().run(make_dataset(rows()))


@pytest.mark.parametrize(
    "parameters",
    [
        {"hf_model": ""},
        {"dtype": "int8"},
        {"prompt": "chat"},
        {"shot_separator": 3},
        {"start_token": "none"},
        {"max_length": 1},
        {"model_params": {"dtype": "bfloat16"}},
    ],
)
def test_parameters_that_cannot_work_are_refused(parameters):
    with pytest.raises(RecipeError, match="miwv: "):
        scorer(**parameters)


def test_what_changes_a_score_is_part_of_its_identity():
    known = scorer().identity()
    for change in ({"shot_separator": " "}, {"prompt": "alpaca"}, {"max_length": 9}, {"dtype": "bfloat16"}):
        assert scorer(**change).identity() != known
