"""A text has one embedding, bit for bit, whatever it is embedded with."""

from __future__ import annotations

import hashlib
import json
import os
import subprocess
import sys

import numpy as np
import pytest
import torch

from mergeit_ops.embedding import SentenceEncoder
from mergeit_ops.embedding.precision import takes_bfloat16
from tests.thorough import every

DTYPES = ("float32", "bfloat16", "auto")
"""The last one is one of the others, by the processor."""
LONG = [
    "word " * 253,
    "word " * 254,
    "word " * 1_000,
    "An essay about rivers, lakes and the sea, in full. " * 8,
]
ODD = ["", " ", "\n", "é" * 40, "日本語のテキストを要約してください。", "👩‍👩‍👧 " * 10, "‏שלום עולם", "a\0b"]
SHORT = [f"Name {n} fruits that grow in the {'far ' * (n % 9)}north of country {n * n}." for n in range(40)]
EXACT = ["tree " * n for n in (5, 6, 7, 6, 10, 14)]  # some fill the length they are padded to
TEXTS = [*ODD, *SHORT, *EXACT, *LONG, *SHORT[:3]]


@pytest.fixture(scope="module", params=every(2, DTYPES))
def encoder(request):
    made = SentenceEncoder(dtype=request.param)
    if request.param == "bfloat16" and not takes_bfloat16("cpu", "auto"):
        # Emulated, it takes ten times as long; each layer does the same.
        del made._model[0].auto_model.encoder.layer[1:]
    return made


@pytest.fixture(scope="module")
def expected(encoder):
    return encoder.encode(TEXTS)


@pytest.fixture(params=[1, 2, 3])
def threads(request):
    before = torch.get_num_threads()
    torch.set_num_threads(request.param)
    yield request.param
    torch.set_num_threads(before)


def test_in_any_order_and_number_of_threads(encoder, expected, threads):
    order = np.random.default_rng(threads).permutation(len(TEXTS))
    np.testing.assert_array_equal(encoder.encode([TEXTS[i] for i in order]), expected[order])


@pytest.mark.parametrize("batch_size", every(3, [7, 1, 2, 64, 10_000]))
def test_with_any_batch_size(encoder, expected, batch_size):
    some = np.arange(0, len(TEXTS), 5)
    np.testing.assert_array_equal(encoder.encode([TEXTS[i] for i in some], batch_size), expected[some])


def test_alone(encoder, expected, threads):
    for i in [0, 5, 12, len(ODD) + len(SHORT) + 1, TEXTS.index(LONG[1])]:
        np.testing.assert_array_equal(encoder.encode([TEXTS[i]])[0], expected[i], err_msg=repr(TEXTS[i][:40]))


@pytest.mark.parametrize("company", [["tree " * 6] * 3, [f"{'tree ' * 5}{n}" for n in range(130)]])
def test_in_company_of_its_own_length(encoder, company):
    """Batches in which every text is as long as the batch, in which a model may leave the mask away."""
    text = "tree " * 6
    alone = encoder.encode([text])[0]
    for texts in ([text, *company], [*company, text], [text, *company, "Name a fruit."]):
        np.testing.assert_array_equal(encoder.encode(texts)[texts.index(text)], alone)


def test_at_any_place_in_a_batch(encoder):
    text, others = "Name a fruit that grows here.", [f"Name a tree that grew in {n}." for n in range(100, 140)]
    alone = encoder.encode([text])[0]
    for place in range(0, 41, 3):
        np.testing.assert_array_equal(encoder.encode([*others[:place], text, *others[place:]])[place], alone)


IN_A_PROCESS = """
import hashlib, json, sys
from mergeit_ops.embedding import SentenceEncoder
texts = json.loads(sys.stdin.read())
dtypes = sys.argv[1:]
for dtype in dtypes:
    encoder = SentenceEncoder(dtype=dtype)
    del encoder._model[0].auto_model.encoder.layer[1:]
    whole = encoder.encode(texts)
    assert (encoder.encode(texts[:0:-1])[::-1] == whole[1:]).all(), "order"
    assert (encoder.encode(texts[:1]) == whole[:1]).all(), "alone"
    print(hashlib.sha256(whole.tobytes()).hexdigest())
"""
SOME = [SHORT[3], "", SHORT[12], "日本語のテキストを要約してください。"]


def digests(*dtypes: str, **variables: str) -> list[str]:
    done = subprocess.run(
        [sys.executable, "-c", IN_A_PROCESS, *dtypes],
        input=json.dumps(SOME),
        capture_output=True,
        text=True,
        env=os.environ | {"HF_HUB_OFFLINE": "1"} | variables,
        timeout=240,
        check=False,
    )
    assert done.returncode == 0, done.stderr[-2000:]
    return done.stdout.split()


@pytest.mark.slow
def test_in_any_process_whatever_its_threads():
    here = []
    for dtype in ("float32", "bfloat16"):
        encoder = SentenceEncoder(dtype=dtype)
        del encoder._model[0].auto_model.encoder.layer[1:]
        here.append(hashlib.sha256(encoder.encode(SOME).tobytes()).hexdigest())
    assert digests("float32", "bfloat16", OMP_NUM_THREADS="1", MKL_NUM_THREADS="1") == here
    assert digests("float32", "bfloat16", OMP_NUM_THREADS="4") == here


def test_where_bfloat16_is_emulated():
    """As on a processor without instructions for it; in one layer, since it is slow."""
    assert len(digests("bfloat16", ONEDNN_MAX_CPU_ISA="AVX2", ATEN_CPU_CAPABILITY="avx2")) == 1
