"""Scales of models: shipped with the package, or stored by an earlier run."""

import pytest

from mergeit_ops.core.merging.equal_strictness import EqualStrictness
from mergeit_ops.embedding.similarity_scales import scale_in, shipped_scale, store_scale

SCALE = EqualStrictness((0.001, 0.01), (0.6, 0.4), (0.9, 0.8), (0.5, 0.6))


@pytest.mark.parametrize("name", ["owner/model", "/data/models/../model", ".hidden", "modèle " + "x" * 300, ""])
def test_a_stored_scale_is_read_by_the_name_of_its_model_alone(tmp_path, name):
    store_scale(tmp_path / "scales", name, SCALE)
    assert scale_in(tmp_path / "scales", name) == SCALE
    assert scale_in(tmp_path / "scales", name + "2") is None
    assert [path.parent for path in tmp_path.rglob("*.json")] == [tmp_path / "scales"]


@pytest.mark.parametrize("content", ["", "{}", "[]", '{"shares": 1}', '{"shares": ["a"]}', "\0"])
def test_a_file_that_cannot_be_read_counts_as_none(tmp_path, content):
    store_scale(tmp_path, "model", SCALE)
    (file,) = tmp_path.iterdir()
    file.write_text(content, encoding="utf-8")
    assert scale_in(tmp_path, "model") is None


def test_a_folder_that_is_not_there_has_no_scales(tmp_path):
    assert scale_in(tmp_path / "none", "model") is None


def test_no_scale_is_shipped_for_an_unknown_model():
    assert shipped_scale("owner/unknown") is None
