"""In what precision a model multiplies matrices."""

from __future__ import annotations

import os
import subprocess
import sys

import numpy as np
import pytest

from mergeit_ops.embedding import SentenceEncoder
from mergeit_ops.embedding.precision import precision, takes_bfloat16

SHORT = [f"Name {n} fruits that grow in the {'far ' * (n % 9)}north of country {n * n}." for n in range(40)]


def test_weights_narrowed_once_give_what_autocast_gives():
    narrowed, wide = SentenceEncoder(dtype="bfloat16"), SentenceEncoder(dtype="float32")
    with precision("cpu", True):
        expected, found = (encoder._model.encode(SHORT[:8], batch_size=8) for encoder in (wide, narrowed))
    np.testing.assert_array_equal(found, expected)


@pytest.mark.parametrize(("instructions", "pays"), [((), False), (("_is_amx_tile_supported",), True)])
def test_auto_takes_bfloat16_where_the_processor_has_instructions_for_it(monkeypatch, instructions, pays):
    import torch

    for name in ("_is_avx512_bf16_supported", "_is_amx_tile_supported"):
        monkeypatch.setattr(torch.cpu, name, lambda name=name: name in instructions, raising=False)
    assert takes_bfloat16("cpu", "auto") is pays
    assert takes_bfloat16("cpu", "bfloat16") is True
    assert takes_bfloat16("cpu", "float32") is False


GROWTH = """
import psutil, torch
from mergeit_ops.embedding.precision import limit_kernel_caches
limit_kernel_caches()
torch.set_num_threads(1)
layer = torch.nn.Linear(576, 1536).to(torch.bfloat16)
memory = []
with torch.inference_mode():
    for rows in range(1, 601):
        layer(torch.zeros(rows, 576, dtype=torch.bfloat16))
        if rows in (100, 600):
            memory.append(psutil.Process().memory_info().rss >> 20)
print(memory[1] - memory[0])
"""


def _growth(**environment: str) -> int:
    env = {**os.environ, **environment}
    return int(subprocess.run([sys.executable, "-c", GROWTH], env=env, check=True, capture_output=True).stdout)


@pytest.mark.slow
def test_memory_does_not_grow_with_the_shapes_of_batches_unless_the_environment_says_so():
    """500 further shapes in bfloat16; the caches that oneDNN and PyTorch have by default keep a kernel for each."""
    if not takes_bfloat16("cpu", "auto"):
        pytest.skip("this processor emulates bfloat16, without kernels of its own")
    default = {"ONEDNN_PRIMITIVE_CACHE_CAPACITY": "1024", "LRU_CACHE_CAPACITY": "1024"}
    assert 3 * _growth() < _growth(**default)
