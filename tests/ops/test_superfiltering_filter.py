"""Superfiltering, Cherry, perplexity: stats and bounds, against a model asked row by row."""

import math

import pytest
import torch
from transformers import AutoModelForCausalLM, AutoTokenizer

from mergeit_ops.core.columns import STATS
from mergeit_ops.core.scoring.superfiltering import MEASURES, STATUS
from mergeit_ops.errors import DatasetError, LLMUnavailableError, RecipeError
from mergeit_ops.ops import SuperfilteringFilter, TopicClusterGrouper
from tests import tiny_models
from tests.recipe_runs import make_dataset


def scoring(**parameters) -> SuperfilteringFilter:
    return SuperfilteringFilter(hf_model=tiny_models.gpt2_folder(), **parameters)


@pytest.fixture(scope="module")
def short_rows(sample_rows) -> list[dict]:
    room = tiny_models.GPT2_POSITIONS  # a token is a byte
    return [row for row in sample_rows if len(f"{row['instruction']}{row['input']}{row['output']}".encode()) < room - 4]


def reference(row) -> dict[str, float]:
    """What the papers define, from transformers' own loss, one text at a time."""
    folder = tiny_models.gpt2_folder()
    tokenizer, model = AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder)

    def loss(text: str, unscored: int) -> float:
        ids = tokenizer(text, return_tensors="pt")["input_ids"]
        labels = ids.clone()
        labels[0, :unscored] = -100
        return model(input_ids=ids, labels=labels).loss.item()

    prompt = row["instruction"] + "\n" + (row["input"] + "\n" if row["input"] else "")
    given = loss(prompt + row["output"], len(tokenizer(prompt)["input_ids"]))
    alone, whole = loss(row["output"], 0), loss(prompt + row["output"], 0)
    return {
        "ppl_ratio": math.exp(given) / math.exp(alone),
        "loss_ratio": given / alone,
        "perplexity": math.exp(whole),
    }


@pytest.mark.parametrize("measure", MEASURES)
def test_scores_are_those_of_the_definition_and_rows_stay_as_they_were(short_rows, measure):
    rows = short_rows[:12]
    scored = scoring(measure=measure).run(make_dataset(rows))
    for row, result in zip(rows, scored, strict=True):
        stats = result.pop(STATS)
        assert result == row
        assert stats[STATUS] == "ok"
        assert stats[MEASURES[measure]] == pytest.approx(reference(row)[measure], rel=1e-3)


def test_a_bound_keeps_what_is_below_it_and_the_bound_itself_only_if_it_is_closed(short_rows):
    low, high = sorted(row[STATS]["ifd_ppl_ratio"] for row in scoring().run(make_dataset(short_rows[:30])))[14:16]
    bound = (low + high) / 2
    for closed in (True, False):
        operator = scoring(max_score=bound, max_closed_interval=closed)
        assert len(operator.run(make_dataset(short_rows[:30]))) == 15
        assert operator.process_single({STATS: {"ifd_ppl_ratio": bound}}) is closed


def test_rows_without_a_score_are_kept_without_a_bound_dropped_with_one_and_told(short_rows, lines):
    empty = {**short_rows[0], "output": "  "}
    long = {**short_rows[0], "instruction": "x" * 200}
    rows = [empty, short_rows[1], long, {**short_rows[0], "output": "y"}]
    scored = scoring().run(make_dataset(rows))
    reasons = [row[STATS][STATUS] for row in scored]
    assert reasons == ["empty_response", "ok", "instruction_too_long", "response_too_short"]
    assert [row[STATS]["ifd_ppl_ratio"] is None for row in scored] == [True, False, True, True]
    assert len(scoring(min_score=0.0).run(make_dataset(rows))) == 1
    assert any("3 samples have no score and are dropped: empty_response 1" in line for line in lines)


def test_the_perplexity_of_a_row_without_a_response_is_none(short_rows):
    rows = [short_rows[0], {**short_rows[1], "output": " "}]
    scored = scoring(measure="perplexity").run(make_dataset(rows))
    assert [row[STATS][STATUS] for row in scored] == ["ok", "empty_response"]
    assert scored[1][STATS]["sample_perplexity"] is None


def test_stats_that_rows_bring_stay(short_rows):
    rows = [row | {STATS: {"num_words": number}} for number, row in enumerate(short_rows[:3])]
    stats = scoring().run(make_dataset(rows))[STATS][:]
    assert [row["num_words"] for row in stats] == [0, 1, 2]
    assert all(row["ifd_ppl_ratio"] > 0 for row in stats)


def test_data_juicers_batches_are_scored_too(short_rows):
    batch = {name: [row[name] for row in short_rows[:4]] for name in ("instruction", "input", "output")}
    scored = scoring().compute_stats({**batch, STATS: [{} for _ in range(4)]})
    expected = scoring().run(make_dataset(short_rows[:4]))[STATS]
    for one, other in zip(scored[STATS], expected, strict=True):
        assert one["ifd_ppl_ratio"] == pytest.approx(other["ifd_ppl_ratio"], rel=1e-4)


def test_what_cannot_work_is_said_in_a_sentence(embedded_rows):
    with pytest.raises(RecipeError, match="min_score 2 is above max_score 1"):
        scoring(min_score=2, max_score=1)
    with pytest.raises(RecipeError, match="the parameter dtype"):
        scoring(model_params={"dtype": "bfloat16"})
    with pytest.raises(DatasetError, match="the rows are topics"):
        scoring().run(TopicClusterGrouper(num_clusters=2).run(make_dataset(embedded_rows[:9])))
    with pytest.raises(LLMUnavailableError, match="superfiltering_filter: The model 'no/such' cannot be loaded"):
        SuperfilteringFilter(hf_model="no/such").run(make_dataset(embedded_rows[:2]))
    assert torch.is_grad_enabled()
