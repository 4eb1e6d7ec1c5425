"""Selectors with several methods by name."""

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import DiversitySelector
from tests.recipe_runs import make_dataset


@pytest.mark.parametrize(
    "parameters",
    [{"method": "quantization", "start": "random"}, {"kernel": "linear"}, {"num_bins": 3}],
)
def test_a_parameter_of_another_method_is_refused(parameters):
    with pytest.raises(RecipeError, match=r"does not read (start|kernel|num_bins), which belongs to"):
        DiversitySelector(**parameters)


@pytest.mark.parametrize(
    "parameters", [{"method": "quantization", "num_bins": 3.0}, {"method": "novelty", "density_neighbors": 2.0}]
)
def test_a_whole_number_may_be_written_with_a_point(embedded_rows, parameters):
    whole = {name: int(value) if isinstance(value, float) else value for name, value in parameters.items()}
    dataset = make_dataset(embedded_rows[:30])
    chosen = DiversitySelector(select_num=8, **parameters).run(dataset)
    assert chosen["id"][:] == DiversitySelector(select_num=8, **whole).run(dataset)["id"][:]
