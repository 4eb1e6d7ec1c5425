"""In what precision a model multiplies matrices."""

from __future__ import annotations

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
