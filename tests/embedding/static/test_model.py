"""A fitted model as arrays and as a file."""

from dataclasses import replace

import numpy as np
import pytest

from mergeit_ops.embedding.static.model import StaticModel, is_fitted
from tests.embedding.static.toy import model

MODEL = model(np.eye(6, 3), (("a", "b"),))


def test_the_name_is_a_hash_of_all_that_changes_a_vector():
    others = [
        replace(MODEL, vectors=MODEL.vectors * np.float16(1.01)),
        replace(MODEL, pairs=MODEL.pairs + 1),
        replace(MODEL, tokenizer=MODEL.tokenizer[:-1]),
        replace(MODEL, vectors=MODEL.vectors.reshape(3, 6)),
    ]
    names = [one.name for one in (MODEL, *others)]
    assert all(map(is_fitted, names))
    assert len(set(names)) == len(names)
    assert replace(MODEL).name == MODEL.name


@pytest.mark.parametrize("name", ["static", "static-", "static-0123456789abcdeg", "owner/static-0123456789abcdef"])
def test_other_names_are_not_those_of_fitted_models(name):
    assert not is_fitted(name)


def test_a_file_gives_the_same_model():
    assert StaticModel.of_bytes(MODEL.to_bytes()).name == MODEL.name


@pytest.mark.parametrize("content", [b"", b"PK", MODEL.to_bytes()[:-30], MODEL.to_bytes()[:100], b"{}"])
def test_what_is_no_whole_file_is_told(content):
    with pytest.raises(ValueError, match="not a static model"):
        StaticModel.of_bytes(content)
