"""Nuggets by a causal language model: against texts that are read whole, anchors, early stops, what is in the way."""

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING, STATS
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.errors import EmbeddingError, RecipeError, ScorerError
from mergeit_ops.llm import losses
from mergeit_ops.llm.loss_passes import LossPasses
from mergeit_ops.ops import PoolScoreMapper
from mergeit_ops.scorers import build_scorer
from mergeit_ops.scorers.nuggets import Nuggets
from mergeit_ops.scorers.pool import POOL_SCORERS
from mergeit_ops.scorers.response_loss import ResponseLossScorer
from tests import tiny_models
from tests.recipe_runs import make_dataset, write_jsonl

ANCHORS = [Sample("Count.", "", "one two"), Sample("Sing.", "a song", "la la la"), Sample("Name a city", "", "Rome")]
ROWS = [Sample("Count to three.", "", "one two three"), Sample("Sing a song.", "", "tra la"), ANCHORS[2]]


def scorer(**parameters) -> Nuggets:
    given = {"hf_model": tiny_models.gpt2_folder(), "anchors": "mine.jsonl", "cache_path": None} | parameters
    return build_scorer("nuggets", given, POOL_SCORERS)


def scored(made: Nuggets, rows=ROWS, anchors=ANCHORS):
    known = made.prepare(Pool(np.zeros((len(rows), 2), np.float32), target_samples=anchors))
    return made.score(rows, known)


def loss(text: str, response: str) -> float:
    """The loss of a response behind a text, read whole by another scorer."""
    as_it_is = {"without_input": "{instruction}", "with_input": "{instruction}{input}"}
    made = ResponseLossScorer(
        hf_model=tiny_models.gpt2_folder(),
        measures=["perplexity"],
        prompt="custom",
        prompt_template=as_it_is,
        cache_path=None,
    )
    return float(np.log(made.score([Sample(text, "", response)])[0].value))


def prompt(sample: Sample) -> str:
    return "".join(f"{text}\n" for text in (sample.instruction, sample.input) if text)


@pytest.mark.parametrize("remembers", [True, False])
def test_scores_are_those_of_texts_that_are_read_whole(monkeypatch, remembers):
    if not remembers:
        monkeypatch.setattr(LossPasses, "read", lambda self, tokens: None)
    for sample, (gold, gain) in zip(ROWS, scored(scorer()), strict=True):
        others = [anchor for anchor in ANCHORS if anchor != sample]
        demo = prompt(sample) + sample.output + "\n\n"
        gains = [loss(prompt(a), a.output) - loss(demo + prompt(a), a.output) for a in others]
        assert gold.value == sum(gain > 0 for gain in gains) / len(others)
        assert gain.value == pytest.approx(np.mean(gains), abs=1e-4)


def test_an_anchor_counts_for_itself_only_if_that_is_asked():
    (_, gain), (_, with_itself) = scored(scorer())[2], scored(scorer(exclude_self=False))[2]
    assert gain.value != with_itself.value
    assert scored(scorer(), ROWS[2:], ANCHORS[2:])[0][0].status == "no_anchor"
    assert scored(scorer(exclude_self=False), ROWS[2:], ANCHORS[2:])[0][0].status == "ok"


def test_the_rows_around_change_nothing():
    whole = scored(scorer())
    for row, scores in zip(ROWS, whole, strict=True):
        assert [score.value for score in scored(scorer(), [row])[0]] == [score.value for score in scores]


def test_a_row_that_cannot_reach_the_bound_is_given_up_and_the_others_keep_their_scores(monkeypatch):
    model = losses.load_loss_model(tiny_models.gpt2_folder(), {}, "cpu", "float32")
    monkeypatch.setattr(model.passes, "most_tokens", 1)  # an anchor a batch
    known = scored(scorer())
    bound = sorted(gold.value for gold, _ in known)[-1]
    calls = []
    behind = losses.LossModel.mean_losses_behind
    monkeypatch.setattr(losses.LossModel, "mean_losses_behind", lambda *a: calls.append(0) or behind(*a))
    found = scored(scorer(min_score=bound))
    for (gold, _), (full, _) in zip(found, known, strict=True):
        assert gold == full if full.value >= bound else gold.status == "below_min_score"
    assert {gold.status for gold, _ in found} == {"ok", "below_min_score"}
    assert len(calls) < len(ROWS) * len(ANCHORS) - 1


def test_the_beginning_of_a_long_example_is_cut_and_long_anchors_lose_their_end():
    long = Sample("Say", "", "x" * 500)
    cutting = scorer(max_demo_tokens=20)
    (found,) = scored(cutting, [long])
    assert (cutting.cut_rows.cut, cutting.cut_rows.read) == (1, 1)
    (short,) = scored(scorer(max_demo_tokens=20), [Sample("Say", "", "x" * 400)])
    assert [score.value for score in found] == [score.value for score in short]
    cut = scored(scorer(max_anchor_tokens=10), ROWS[:1], [Sample("Count.", "", "one two")])
    same = scored(scorer(max_anchor_tokens=10), ROWS[:1], [Sample("Count.", "", "one")])
    assert [score.value for score in cut[0]] == [score.value for score in same[0]]


def test_rows_without_a_score_say_why():
    assert [score.status for score in scored(scorer(), [Sample("Do.", "", " ")])[0]] == ["empty_response"] * 2


def test_anchors_that_cannot_work_are_said():
    with pytest.raises(
        ScorerError, match=r"needs anchors with an instruction and a response, but anchors, mine\.jsonl"
    ):
        scored(scorer(), anchors=[Sample("Do.", "", "")])
    with pytest.raises(ScorerError, match="instruction of every anchor fills all 63 tokens"):
        scored(scorer(anchors="x", max_length=129), anchors=[Sample("x" * 90, "", "y")])


def rows_of(samples, vectors) -> list[dict]:
    texts = encode_vectors(np.asarray(vectors, np.float32))
    return [
        {"instruction": sample.instruction, "input": sample.input, "output": sample.output, EMBEDDING: text}
        for sample, text in zip(samples, texts, strict=True)
    ]


def mapper(**parameters) -> PoolScoreMapper:
    return PoolScoreMapper(scorer="nuggets", scorer_params={"hf_model": tiny_models.gpt2_folder(), **parameters})


def test_with_anchors_of_a_file_no_row_is_embedded(tmp_path):
    path = write_jsonl(tmp_path / "anchors.jsonl", [vars(anchor) for anchor in ANCHORS])
    given = [vars(sample) for sample in [*ROWS, Sample("", "", "no question")]]
    params = {"hf_model": tiny_models.gpt2_folder()}
    absent = {"scorer": "nuggets", "embedding_model": "a/model-that-is-not-there"}
    own = PoolScoreMapper(scorer_params={**params, "anchors": str(path)}, **absent).run(make_dataset(given))
    expected = [[score.value for score in scores] for scores in scored(scorer())]
    found = [[row[STATS]["nuggets_gold_score"], row[STATS]["nuggets_mean_gain"]] for row in own]
    assert found == [*map(pytest.approx, expected), [None, None]]
    assert own[3][STATS]["nuggets_gold_score_status"] == "unreadable"
    with pytest.raises(EmbeddingError):
        PoolScoreMapper(scorer_params=params, **absent).run(make_dataset(given))


def test_anchors_come_from_a_file_or_stand_in_the_middle_of_the_rows(tmp_path):
    angles = np.array([0.0, 0.1, 0.2, 2.0, 2.1, 2.2])
    samples = [*ROWS, Sample("a", "", "b"), Sample("c", "", "d"), Sample("e", "", "f")]
    given = rows_of(samples, np.stack([np.cos(angles), np.sin(angles)], axis=1))
    central = list(mapper(num_anchors=2).run(make_dataset(given)))
    chosen = [{name: given[row][name] for name in ("instruction", "input", "output")} for row in (1, 4)]
    path = write_jsonl(tmp_path / "anchors.jsonl", chosen)
    for row, other in zip(central, mapper(anchors=str(path)).run(make_dataset(given)), strict=True):
        for key in ("nuggets_gold_score", "nuggets_mean_gain"):
            assert row[STATS][key] == pytest.approx(other[STATS][key], abs=1e-6)


@pytest.mark.parametrize(
    ("parameters", "said"),
    [
        ({"anchors": ""}, "nuggets: anchors must be"),
        ({"anchors": "no/such.jsonl"}, "the file in scorer_params of 'nuggets' cannot be used: no/such.jsonl"),
        ({"num_anchors": 0}, "nuggets: num_anchors must be"),
        ({"max_anchor_tokens": 1}, "nuggets: max_anchor_tokens must be"),
        ({"max_demo_tokens": 0}, "nuggets: max_demo_tokens must be"),
        ({"exclude_self": 1}, "nuggets: exclude_self must be"),
        ({"min_score": 2}, "nuggets: min_score must be"),
        ({"max_length": 3}, "nuggets: max_length must be"),
    ],
)
def test_parameters_that_cannot_work_are_refused(parameters, said):
    with pytest.raises(RecipeError, match=f"pool_score_mapper: .*{said}"):
        mapper(**parameters)
