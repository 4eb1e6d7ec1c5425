"""Prompt uncertainty of tasks: the mean over some rows of each, in any order, and rows without a task."""

from statistics import fmean

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING, STATS
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.prompt_uncertainty import with_words_dropped
from mergeit_ops.core.vectors import encode_vectors
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops import PoolScoreMapper
from mergeit_ops.scorers.response_loss import ResponseLossScorer
from tests import tiny_models
from tests.recipe_runs import make_dataset

TASKS = [
    ("Name the capital city.", "France", "Paris", "capital"),
    ("Name the capital city.", "Italy", "Rome", "capital"),
    ("Say the opposite word.", "hot", "cold", "opposite"),
    ("Say the opposite word.", "up", "down", "opposite"),
    ("Say the opposite word.", "in", " ", "opposite"),
    ("Sing.", "", "la", None),
]


def rows() -> list[dict]:
    (text,) = encode_vectors(np.array([(1, 0)], np.float32))
    names = ("instruction", "input", "output", "task")
    return [dict(zip(names, row, strict=True)) | {EMBEDDING: text} for row in TASKS]


def mapper(**parameters) -> PoolScoreMapper:
    params = {"hf_model": tiny_models.gpt2_folder(), "group_key": "task"} | parameters
    return PoolScoreMapper(scorer="prompt_uncertainty", scorer_params=params)


def expected(task: str) -> tuple[float, float]:
    """The definition, by another scorer: the same ten instructions for all rows of a task."""
    losses = ResponseLossScorer(hf_model=tiny_models.gpt2_folder(), measures=["perplexity"])
    found = []
    for instruction, given, output, _ in (row for row in TASKS if row[3] == task and row[2].strip()):
        texts = [instruction, *with_words_dropped(Sample(instruction, "", ""), 10, 0.2, 42)]
        first, *others = [1 / score.value for score in losses.score([Sample(text, given, output) for text in texts])]
        found.append((fmean(abs(other - first) for other in others), first))
    return tuple(map(fmean, zip(*found, strict=True)))


def test_each_row_has_the_mean_of_its_task_in_any_order():
    given = rows()
    scored = [row[STATS] for row in mapper().run(make_dataset(given))]
    for row, stats in zip(given, scored, strict=True):
        if row["task"] is None:
            assert stats["prompt_uncertainty_status"] == "no_group"
        else:
            found = (stats["prompt_uncertainty"], stats["prompt_probability"])
            assert found == pytest.approx(expected(row["task"]), rel=1e-3)
    turned = [row[STATS] for row in mapper().run(make_dataset(given[::-1]))][::-1]
    values = [[stats["prompt_uncertainty"] or 0 for stats in part] for part in (scored, turned)]
    assert values[0] == pytest.approx(values[1], abs=1e-6)


def test_no_row_is_embedded():
    given = [{name: row[name] for name in ("instruction", "input", "output", "task")} for row in rows()]
    params = {"hf_model": tiny_models.gpt2_folder(), "group_key": "task"}
    made = PoolScoreMapper(
        scorer="prompt_uncertainty", scorer_params=params, embedding_model="a/model-that-is-not-there"
    )
    found = made.run(make_dataset(given))
    expected = [row[STATS] for row in mapper().run(make_dataset(rows()))]
    # The encoder, another one here, has no part in what a score is known by.
    assert [row[STATS] for row in found] == expected


def test_a_few_rows_stand_for_a_task():
    one = [row[STATS]["prompt_probability"] for row in mapper(instances_per_group=1).run(make_dataset(rows()))]
    all_of_them = [row[STATS]["prompt_probability"] for row in mapper().run(make_dataset(rows()))]
    assert one[0] == one[1] != all_of_them[0]


def test_a_missing_column_is_named_with_those_there_are():
    with pytest.raises(DatasetError, match="pool_score_mapper: there is no column 'kind' for the group_key; there are"):
        mapper(group_key="kind").run(make_dataset(rows()))


def test_values_that_name_no_task_are_refused():
    given = [row | {"task": ["a", "b"]} for row in rows()]
    with pytest.raises(DatasetError, match="the group_key 'task' must hold a text or a number"):
        mapper().run(make_dataset(given))


@pytest.mark.parametrize(
    "parameters", [{"group_key": ""}, {"instances_per_group": 0}, {"num_perturbations": 0}, {"drop_rate": 1}]
)
def test_parameters_that_cannot_work_are_refused(parameters):
    with pytest.raises(RecipeError, match="pool_score_mapper: prompt_uncertainty: "):
        mapper(**parameters)
