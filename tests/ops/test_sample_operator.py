"""What every operator of ours has: the layout of its rows, its role, and its record."""

import pytest

from mergeit_ops.core.columns import EMBEDDING, META, ROW_ID
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops import BudgetSelector, QualityGateFilter, TopicClusterGrouper, TopicReverseGrouper


def test_columns_of_operators_are_not_those_of_the_layout():
    layout = BudgetSelector().layout_of(["instruction", "output", META, ROW_ID, EMBEDDING])
    assert layout.name == "alpaca"
    with pytest.raises(DatasetError, match="budget_selector: no sample format fits") as caught:
        BudgetSelector().layout_of(["text", META])
    assert META not in str(caught.value)


def test_keys_of_the_recipe_are_read_by_the_layout_and_by_files_beside_the_dataset():
    operator = BudgetSelector(instruction_key="q", response_key="a", system_key="s")
    assert operator.layout_of(["q", "a", "s"]).required_columns == ("q", "a")
    assert operator.file_layout == {
        "name": "auto",
        "instruction_key": "q",
        "query_key": None,
        "response_key": "a",
        "system_key": "s",
        "history_key": "history",
    }
    assert operator.reader_of(["q", "a"]).operator == "budget_selector"


def test_topics_are_refused_with_the_cure():
    operator = BudgetSelector()
    operator.check_flat(grouped=False)
    with pytest.raises(DatasetError, match=r"^budget_selector: the rows are topics; put llm_pair_merger_mapper or"):
        operator.check_flat(grouped=True)
    with pytest.raises(DatasetError, match="the rows are topics; do this"):
        operator.check_flat(True, "do this")


def test_a_role_says_what_verification_needs():
    assert TopicClusterGrouper().role["kind"] == "grouper"
    assert TopicReverseGrouper().role["kind"] == "flattener"
    assert QualityGateFilter(scorer="tests.user_scorers:ByLength").role["kind"] == "gate"
    assert set(BudgetSelector().role) == set(TopicClusterGrouper().role)


def test_a_record_holds_the_parameters_and_how_rows_are_read():
    parameters = BudgetSelector(select_num=3)._recorded_parameters
    assert parameters["select_num"] == 3
    assert {"system_key", "history_key", "sample_format"} <= set(parameters)


def test_a_batch_that_raises_is_never_dropped():
    assert BudgetSelector(skip_op_error=True).skip_op_error is False


@pytest.mark.parametrize("parameters", [{"sample_format": "xml"}, {"instruction_key": ""}, {"instruction_key": 5}])
def test_a_layout_that_cannot_be_is_refused_by_name(parameters):
    (name,) = parameters
    with pytest.raises(RecipeError, match=f"budget_selector: {name}"):
        BudgetSelector(**parameters)


def test_an_operator_without_a_recipe_has_no_place():
    operator = BudgetSelector()
    operator._op_cfg = {"budget_selector": {}}
    assert operator.place is None
    assert operator.check_arrival(0) == 0
