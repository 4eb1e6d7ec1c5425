"""The parameters of the sentence encoder."""

import pytest

from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.errors import RecipeError
from mergeit_ops.jobs.sample_reader import EncoderSettings
from mergeit_ops.ops import TopicClusterGrouper


def test_the_encoder_is_what_the_recipe_says():
    assert TopicClusterGrouper().encoder == EncoderSettings(DEFAULT_EMBEDDING_MODEL)
    asked = TopicClusterGrouper(embedding_model="m", embedding_batch_size=8.0, embedding_dtype="bfloat16")
    assert asked.encoder == EncoderSettings("m", 8, "bfloat16")
    chats = TopicClusterGrouper(embedding_window="mean", embedding_text="last")
    assert chats.encoder == EncoderSettings(DEFAULT_EMBEDDING_MODEL, window="mean")
    assert chats.reader_of(["messages"]).embedding_text == "last"


@pytest.mark.parametrize(
    "parameters",
    [
        {"embedding_batch_size": 0},
        {"embedding_dtype": "int8"},
        {"embedding_model": ""},
        {"embedding_window": "median"},
        {"embedding_text": None},
    ],
)
def test_a_value_that_cannot_work_is_refused_by_name(parameters):
    (name,) = parameters
    with pytest.raises(RecipeError, match=f"topic_cluster_grouper: {name}"):
        TopicClusterGrouper(**parameters)
