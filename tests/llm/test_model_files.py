"""A model in a folder, told from another one that is trained into the same folder."""

import os

from mergeit_ops.llm.model_files import files_digest, model_identity


def write(folder, name, content):
    (folder / name).write_bytes(content)
    return files_digest(str(folder))


def test_another_weight_anywhere_is_another_model(tmp_path):
    first = write(tmp_path, "model.safetensors", bytes(100_000))
    for place in (0, 50_000, 99_999):
        changed = bytearray(100_000)
        changed[place] = 1
        assert write(tmp_path, "model.safetensors", bytes(changed)) != first
    assert write(tmp_path, "model.safetensors", bytes(100_000)) == first
    assert write(tmp_path, "model.safetensors", bytes(99_999)) != first


def test_files_are_those_of_a_model(tmp_path):
    first = write(tmp_path, "config.json", b"{}")
    assert write(tmp_path, "README.md", b"words") == first
    (tmp_path / "checkpoint.bin").mkdir()
    assert files_digest(str(tmp_path)) == first
    assert write(tmp_path, "chat_template.jinja", b"x") != first
    os.utime(tmp_path / "config.json", (1, 1))
    assert write(tmp_path, "empty.txt", b"") != first


def test_a_name_at_the_hub_has_no_files(tmp_path):
    assert files_digest("owner/model") is None
    assert files_digest(str(tmp_path / "none")) is None
    assert model_identity("owner/model", {"dtype": "bfloat16"}) == {
        "model": "owner/model",
        "model_params": {"dtype": "bfloat16"},
        "files": None,
    }


def test_the_folder_inside_the_folder_counts(tmp_path):
    (tmp_path / "sub").mkdir()
    own, inner = write(tmp_path, "config.json", b"1"), write(tmp_path / "sub", "config.json", b"2")
    assert model_identity(str(tmp_path), {})["files"] == own
    assert model_identity(str(tmp_path), {"subfolder": None})["files"] == own
    assert model_identity(str(tmp_path), {"subfolder": "sub"})["files"] == inner != own
