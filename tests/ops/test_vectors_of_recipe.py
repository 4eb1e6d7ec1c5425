"""Vectors that travel through a recipe, and operators that embed texts beside them."""

from __future__ import annotations

import pytest

from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.errors import RecipeError
from mergeit_ops.ops import (
    DecontaminationFilter,
    FacilityLocationSelector,
    LLMPairMergerMapper,
    QualityGateFilter,
    TopicClusterGrouper,
)
from mergeit_ops.ops.vectors_of_recipe import choices_of_maker

GROUPER = ("topic_cluster_grouper", {"embedding_model": "m", "embedding_text": "all"})
KEEPS = ("llm_pair_merger_mapper", {"keep_embeddings": True})
DROPS = ("llm_pair_merger_mapper", {})


def recipe_of(*steps):
    return Recipe(tuple(Step(name, parameters) for name, parameters in steps), None, (), "default")


def choices(operator, *steps):
    found = choices_of_maker(operator, recipe_of(*steps), len(steps))
    return [found[f"embedding_{name}"] for name in ("model", "window", "text")]


OWN = [DEFAULT_EMBEDDING_MODEL, "mean", "user"]
MADE = ["m", "mean", "all"]
MAPPER = ("sentence_embedding_mapper", {"embedding_window": "first"})


@pytest.mark.parametrize(
    ("steps", "expected"),
    [
        ([], OWN),
        ([GROUPER], MADE),
        ([GROUPER, ("facility_location_selector", {}), KEEPS], MADE),
        ([GROUPER, KEEPS, ("words_num_filter", {}), ("sample_score_filter", {})], MADE),
        ([GROUPER, DROPS], OWN),
        ([GROUPER, ("topic_reverse_grouper", {})], OWN),
        # What has vectors is not embedded again.
        ([MAPPER, GROUPER, KEEPS], [DEFAULT_EMBEDDING_MODEL, "first", "user"]),
        ([MAPPER, ("diversity_selector", {})], OWN),
        ([MAPPER, ("diversity_selector", {"keep_embeddings": True})], [DEFAULT_EMBEDDING_MODEL, "first", "user"]),
    ],
)
def test_what_a_recipe_leaves_open_follows_the_maker_of_the_vectors_that_come(steps, expected):
    assert choices(QualityGateFilter(), *steps) == expected


def test_two_different_values_are_refused_with_both_operators_and_the_cure():
    gate = QualityGateFilter(embedding_text="last")
    with pytest.raises(
        RecipeError,
        match=r"^quality_gate_filter: embedding_text is 'last', but topic_cluster_grouper makes the vectors of the "
        r"rows with 'all'; give both operators the same embedding_text, or leave it out here\.$",
    ):
        choices(gate, GROUPER, KEEPS)
    assert choices(gate, GROUPER, DROPS) == [DEFAULT_EMBEDDING_MODEL, "mean", "last"]
    assert choices(QualityGateFilter(embedding_text="all"), GROUPER, KEEPS) == MADE


def test_operators_that_compare_vectors_say_so(tmp_path):
    file = tmp_path / "target.jsonl"
    file.write_text('{"instruction": "a", "output": "b"}', encoding="utf-8")
    assert LLMPairMergerMapper(merge_strategy="concat").compares_vectors
    assert QualityGateFilter().compares_vectors
    assert DecontaminationFilter(paths=str(file)).compares_vectors
    assert not DecontaminationFilter(paths=str(file), max_similarity=None).compares_vectors
    assert FacilityLocationSelector(select_num=1, target_path=str(file), target_weight=0.5).compares_vectors
    assert not FacilityLocationSelector(select_num=1).compares_vectors
    assert not TopicClusterGrouper().compares_vectors


def test_an_operator_in_its_place_embeds_as_the_maker_does():
    operator = LLMPairMergerMapper(model_params={"base_url": "http://127.0.0.1:9/v1"})
    operator.check_place(recipe_of(GROUPER, DROPS), 1)
    assert (operator.embedding_model, operator.embedding_text, operator.encoder.window) == ("m", "all", "mean")


STATIC = ("topic_cluster_grouper", {"embedding_model": "static"})


def test_beside_vectors_that_were_fitted_to_the_rows_no_other_model_embeds_silently(tmp_path):
    file = tmp_path / "target.jsonl"
    file.write_text('{"instruction": "a", "output": "b"}', encoding="utf-8")
    mapper = ("sentence_embedding_mapper", {"embedding_model": "static"})
    with pytest.raises(RecipeError, match=r"^decontamination_filter: sentence_embedding_mapper makes .* static"):
        choices(DecontaminationFilter(paths=str(file)), mapper)
    with pytest.raises(RecipeError, match=r"^quality_gate_filter: .*keep_embeddings: false"):
        choices(QualityGateFilter(), STATIC, KEEPS)
    with pytest.raises(RecipeError, match=r"embedding_model is 'other'.*with 'static'"):
        choices(QualityGateFilter(embedding_model="other"), STATIC, KEEPS)
    assert choices(QualityGateFilter(), STATIC, DROPS) == OWN
    target = FacilityLocationSelector(select_num=1, target_path=str(file), target_weight=0.5)
    assert choices(target, mapper)[0] == choices(target, STATIC)[0] == "static"
    # It finds the fitted model in the topics.
    assert choices(LLMPairMergerMapper(merge_strategy="concat"), STATIC) == OWN
