"""What holds for every selector: few rows, and too many."""

import pytest

from mergeit_ops.core.selection import DIVERSITY_METHODS
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import DiversitySelector, TopicClusterGrouper
from tests.recipe_runs import make_dataset


@pytest.mark.parametrize("method", list(DIVERSITY_METHODS))
@pytest.mark.parametrize("rows", [0, 1])
def test_few_rows(embedded_rows, method, rows):
    dataset = make_dataset(embedded_rows[:2]).select(range(rows))
    assert len(DiversitySelector(method, select_num=2).run(dataset)) == rows


def test_too_many_samples_for_a_method_are_refused_before_any_work(monkeypatch, embedded_rows, sample_rows):
    monkeypatch.setattr("mergeit_ops.core.selection.dpp.MOST_FACTORS", 500)
    # Without embeddings: there is no such model, so embedding would raise another error.
    flat = DiversitySelector("dpp", select_num=6, embedding_model="/no/model")
    with pytest.raises(RecipeError, match=r"100 rows and 6 choices; .* Choose at most 5, select within topics"):
        flat.run(make_dataset(sample_rows[:100]))
    topics = TopicClusterGrouper(num_clusters=1).run(make_dataset(embedded_rows[:100]))
    with pytest.raises(RecipeError, match="100 rows and 6 choices"):
        DiversitySelector("dpp", select_num=6).run(topics)
    # Nothing has to be chosen.
    assert len(DiversitySelector("dpp", select_ratio=1.0).run(make_dataset(embedded_rows[:100]))) == 100
