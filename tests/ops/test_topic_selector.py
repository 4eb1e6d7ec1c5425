"""Budgets of tokens, for every selector that keeps samples of topics or of a flat dataset."""

import pytest

from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import DiversitySelector, FacilityLocationSelector, TopicClusterGrouper
from tests.recipe_runs import make_dataset


def tokens_of(rows) -> int:
    return sum(max(1, estimate_tokens(row["output"])) for row in rows)


@pytest.mark.parametrize("selector", [FacilityLocationSelector, DiversitySelector])
@pytest.mark.parametrize("allocation", ["proportional", "equal", "flat"])
def test_the_answers_of_the_chosen_samples_fit_and_little_is_left(embedded_rows, selector, allocation, tmp_path):
    limit = tokens_of(embedded_rows) // 4
    dataset = make_dataset(embedded_rows)
    options = {} if allocation == "flat" else {"allocation": allocation}
    if allocation != "flat":
        dataset = TopicClusterGrouper(num_clusters=3).run(dataset)
    selected = selector(select_tokens=limit, **options, work_dir=str(tmp_path)).run(dataset)
    ids = selected["id"][:] if allocation == "flat" else [key for topic in selected["id"] for key in topic]
    chosen = [row for row in embedded_rows if row["id"] in set(ids)]
    assert 0.7 * limit < tokens_of(chosen) <= limit
    (record,) = read_manifests(tmp_path)
    assert record["figures"]["tokens"] == {"chosen": tokens_of(chosen), "all": tokens_of(embedded_rows)}


def test_by_gain_and_two_budgets_are_refused():
    with pytest.raises(RecipeError, match="select_tokens cannot be split by the allocation 'gain'"):
        FacilityLocationSelector(select_tokens=100, allocation="gain")
    with pytest.raises(RecipeError, match="at most one of select_ratio, num_per_topic, select_num and select_tokens"):
        FacilityLocationSelector(select_tokens=100, select_num=5)
