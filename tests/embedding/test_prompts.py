"""What models want before each text."""

import pytest

from mergeit_ops.embedding.prompts import prompt_of


@pytest.mark.parametrize(
    "name",
    ["intfloat/multilingual-e5-small", "intfloat/e5-base-v2", "/models/Multilingual-E5-Large", "intfloat/e5-small"],
)
def test_models_of_the_e5_family_want_a_query(name):
    assert prompt_of(name) == "query: "


@pytest.mark.parametrize(
    "name", ["sentence-transformers/all-MiniLM-L6-v2", "intfloat/multilingual-e5-large-instruct", "me/five5-small", ""]
)
def test_of_others_nothing_is_known(name):
    assert prompt_of(name) is None
