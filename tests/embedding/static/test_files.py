"""Fitted models in a folder."""

import numpy as np
import pytest

from mergeit_ops.embedding.static import files
from mergeit_ops.errors import EmbeddingError
from tests.embedding.static.toy import model

MODEL, OTHER = model(np.eye(5, 3)), model(np.eye(5, 3)[::-1])


def test_a_model_is_found_by_its_fit_and_by_its_name(tmp_path):
    assert files.of_fit(tmp_path / "missing", "fit") is None
    files.store(tmp_path / "new", "fit", MODEL)
    files.store(tmp_path / "new", "other", OTHER)
    assert files.of_fit(tmp_path / "new", "fit").name == MODEL.name
    assert files.of_fit(tmp_path / "new", "fi") is None
    assert files.named(tmp_path / "new", OTHER.name).name == OTHER.name
    assert sorted(files.names(tmp_path / "new")) == sorted([MODEL.name, OTHER.name])
    assert len(list((tmp_path / "new").iterdir())) == 2


@pytest.mark.parametrize("damage", [lambda content: content[:-40], lambda _: b"", lambda _: OTHER.to_bytes()])
def test_a_damaged_file_is_passed_over(tmp_path, damage):
    files.store(tmp_path, "fit", MODEL)
    (path,) = tmp_path.iterdir()
    path.write_bytes(damage(path.read_bytes()))
    assert files.of_fit(tmp_path, "fit") is None
    with pytest.raises(EmbeddingError, match=f"'{MODEL.name}' was fitted to the rows of another run.*run the operator"):
        files.named(tmp_path, MODEL.name)
    files.store(tmp_path, "fit", MODEL)
    assert files.of_fit(tmp_path, "fit").name == MODEL.name


def test_nothing_is_left_where_a_model_cannot_be_written(tmp_path):
    (tmp_path / "file").touch()
    with pytest.raises(OSError, match="file"):
        files.store(tmp_path / "file", "fit", MODEL)
    assert [path.name for path in tmp_path.iterdir()] == ["file"]
