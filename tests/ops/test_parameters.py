"""The parameters of an operator, over the classes that declare them."""

import pytest

from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import (
    BudgetSelector,
    CombinedScoreFilter,
    DiversitySelector,
    FacilityLocationSelector,
    InstructionRewriteMapper,
    LLMPairMergerMapper,
    LowConfidenceSelector,
    SemanticDeduplicator,
    TopicReverseGrouper,
)
from mergeit_ops.ops.parameters import declare, declared_parameters
from tests.recipe_runs import read_jsonl, run_recipe, write_jsonl, write_recipe


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


@pytest.mark.parametrize(
    ("operator", "parameters", "options"),
    [
        (
            FacilityLocationSelector,
            {"select_ratio": 0.2, "select_num": 5},
            ["facility_location_selector.select_ratio null", "facility_location_selector.select_num null"],
        ),
        (
            BudgetSelector,
            {"select_num": 1, "select_tokens": 1},
            ["budget_selector.select_num null", "budget_selector.select_tokens null"],
        ),
        (
            LowConfidenceSelector,
            {"topic_key": "topic_id", "num_clusters": 4},
            ["low_confidence_selector.topic_key null", "low_confidence_selector.num_clusters null"],
        ),
        (
            CombinedScoreFilter,
            {"preset": "deita_evol", "weights": {"a": 1.0}},
            ["combined_score_filter.preset null", "combined_score_filter.weights null"],
        ),
        (CombinedScoreFilter, {"preset": "deita_evol", "intercept": 1.0}, ["combined_score_filter.intercept 0.0"]),
        (
            CombinedScoreFilter,
            {"weights": {"a": 1.0}, "rename": {"a": "b"}},
            ["combined_score_filter.rename null"],
        ),
        (DiversitySelector, {"start_column": "a"}, ["diversity_selector.start_column null"]),
        (DiversitySelector, {"method": "k_center", "num_bins": 4}, ["diversity_selector.num_bins 10"]),
        (SemanticDeduplicator, {"score_key": "a"}, ["semantic_deduplicator.score_key null"]),
        (FacilityLocationSelector, {"score_weight": 0.1}, ["facility_location_selector.score_weight 0.0"]),
        (
            LLMPairMergerMapper,
            {"merge_strategy": "concat", "pairing": "first_come", "merge_ratio": 0.1},
            ["llm_pair_merger_mapper.merge_ratio null"],
        ),
        (
            InstructionRewriteMapper,
            {"method": "deepen", "api_or_hf_model": "a", "add_nodes": 99},
            ["instruction_rewrite_mapper.add_nodes 3"],
        ),
    ],
)
def test_what_excludes_another_parameter_is_refused_with_the_option_that_mends_it(operator, parameters, options):
    with pytest.raises(RecipeError) as refused:
        operator(**parameters)
    for option in options:
        assert f"(--{option})" in str(refused.value)


def test_a_choice_without_what_it_needs_is_refused():
    with pytest.raises(RecipeError, match=r"got keep 'score' and score_key None\. Set score_key\.$"):
        SemanticDeduplicator(keep="score")


def test_the_budget_of_the_command_line_is_the_one_to_keep(tmp_path, embedded_rows):
    process = [{"budget_selector": {"select_tokens": 50}}]
    recipe = write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", embedded_rows))
    with pytest.raises(RecipeError) as refused:
        run_recipe(recipe, "--budget_selector.select_num", "5")
    told = "To keep select_num, set select_tokens to null (--budget_selector.select_tokens null)."
    assert str(refused.value).endswith(f"got select_num and select_tokens. {told}")
    export = run_recipe(recipe, "--budget_selector.select_num", "5", "--budget_selector.select_tokens", "null")
    assert len(read_jsonl(export)) == 5
