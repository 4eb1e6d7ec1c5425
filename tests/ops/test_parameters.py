"""The parameters of an operator, over the classes that declare them."""

from mergeit_ops.ops import DiversitySelector, TopicReverseGrouper
from mergeit_ops.ops.parameters import declare, declared_parameters


def test_own_parameters_come_before_those_of_base_classes_and_each_comes_once():
    names = list(declared_parameters(DiversitySelector))
    assert names.index("method") < names.index("select_ratio") < names.index("embedding_model")
    assert names.index("embedding_model") < names.index("sample_format")
    assert len(names) == len(set(names))
    assert not {"self", "args", "kwargs"} & set(names)


def test_parameters_of_data_juicers_classes_are_not_ours():
    assert not {"work_dir", "num_proc", "accelerator"} & set(declared_parameters(TopicReverseGrouper))


def test_a_value_of_a_class_nearer_to_the_operator_counts():
    class Thing:
        pass

    thing = Thing()
    declare(thing, {"self": thing, "args": (), "kwargs": {}, "__class__": Thing, "a": 1, "b": 2})
    declare(thing, {"self": thing, "b": 7, "c": 3})
    assert thing.parameters == {"a": 1, "b": 2, "c": 3}


def test_an_operator_knows_the_values_of_all_its_parameters():
    operator = DiversitySelector("dpp", select_num=3)
    assert set(declared_parameters(DiversitySelector)) <= set(operator.parameters)
    assert (operator.parameters["method"], operator.parameters["select_num"]) == ("dpp", 3)
    other = DiversitySelector("k_center")
    assert other.parameters["select_num"] is None
