"""Advice for columns that fit no layout, as the refusal gives it."""

import pytest

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.formats.advice import advice_for


@pytest.mark.parametrize(
    ("columns", "keys"),
    [
        (["question", "answer"], ("question", "answer")),
        (["id", "user_query", "model_response", "lang"], ("user_query", "model_response")),
        (["inputs", "targets"], ("inputs", "targets")),
        (["Question", "Answer"], ("Question", "Answer")),
        (["problem", "solution", "answer"], ("problem", "answer")),
        (["userPrompt", "assistantReply"], ("userPrompt", "assistantReply")),
        (["human", "assistant"], ("human", "assistant")),
        (["instruction", "response"], ("instruction", "response")),
    ],
)
def test_the_refusal_finds_the_columns_of_question_and_answer(columns, keys):
    with pytest.raises(ValueError, match=f"instruction_key: {keys[0]} and response_key: {keys[1]} in every operator"):
        resolve_format("auto", columns)


def test_the_refusal_names_the_column_of_the_material_too():
    with pytest.raises(ValueError, match="instruction_key: instruction, query_key: context and response_key: response"):
        resolve_format("auto", ["instruction", "context", "response", "category"])


@pytest.mark.parametrize("column", ["dialogue", "chat", "turns"])
def test_the_refusal_tells_how_turns_in_another_column_are_read(column):
    with pytest.raises(ValueError, match=f"If '{column}' holds a list of turns, rename the column to messages"):
        resolve_format("auto", ["id", column])


@pytest.mark.parametrize("columns", [["text"], ["id", "body"], []])
def test_the_refusal_says_what_to_set_where_no_column_looks_like_it(columns):
    with pytest.raises(ValueError, match="Set instruction_key and response_key to the columns"):
        resolve_format("auto", columns)


@pytest.mark.parametrize(
    "columns",
    [
        ["prompt", "chosen", "rejected"],
        ["chosen", "rejected"],
        ["instruction", "input", "chosen", "rejected"],
        ["question", "chosen_response", "rejected_response"],
        ["prompt", "preferredAnswer", "dispreferredAnswer"],
        ["prompt", "response_a", "response_b", "winner"],
        ["prompt", "output_1", "output_2", "preference"],
        ["question", "answer_A", "answer_B"],
        ["prompt", "response_j", "response_k"],
        ["prompt", "y_w", "y_l"],
        ["query", "positive", "negative"],
        ["history", "human_ref_A", "human_ref_B", "labels"],
        ["question", "good_answer", "bad_answer"],
    ],
)
def test_preference_pairs_are_called_what_they_are(columns):
    with pytest.raises(ValueError, match="These are preference pairs"):
        resolve_format("auto", columns)


def test_one_column_is_no_pair():
    """Its name has a word for the better answer and one for the worse."""
    assert "preference pairs" not in advice_for(["question", "answer", "win_or_lose"])


def test_no_columns_and_columns_without_a_name_are_borne():
    for columns in ([], [""], ["", "问题", "回答"]):
        assert advice_for(columns).startswith(". Set instruction_key and response_key")
