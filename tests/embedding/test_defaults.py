"""The default embedding model has two names."""

from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL, is_default


def test_the_default_model_is_known_by_its_full_and_its_short_name():
    assert is_default(DEFAULT_EMBEDDING_MODEL)
    assert is_default("all-MiniLM-L6-v2")
    assert not is_default("all-MiniLM-L12-v2")
    assert not is_default("/models/all-MiniLM-L6-v2")
