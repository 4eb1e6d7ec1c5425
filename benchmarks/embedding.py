"""Rows per second of embedding, beside sentence-transformers' default and a plain loop.

    python benchmarks/embedding.py [--data rows.jsonl] [--rows 9229] [--device cpu] [--repeats 3]

All sides embed the same texts with the same weights in one process, turn about: the plain loop takes batches of 32 in
the order of the file, as the method's released code does. Beside the times stand the cosines to sentence-transformers'
vectors, and what a selection of 20 % on each side's vectors is worth: the facility location objective of its rows, on
sentence-transformers' vectors, as a share of that of the rows chosen on those.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from common import DATA, median, query, read_rows, table, timed
from numpy.typing import NDArray

from mergeit_ops.core.facility_location import objective, select
from mergeit_ops.embedding import SentenceEncoder

BATCH = 32


def plain_loop(encoder: SentenceEncoder, texts: list[str]) -> NDArray[np.float32]:
    """Embed in batches of 32, in order, in float32."""
    model = encoder._model
    return np.concatenate(
        [
            model.encode(texts[start : start + BATCH], normalize_embeddings=True, show_progress_bar=False)
            for start in range(0, len(texts), BATCH)
        ]
    )


def default_encode(encoder: SentenceEncoder, texts: list[str]) -> NDArray[np.float32]:
    """Embed as sentence-transformers does by itself."""
    return encoder._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="JSON Lines with instruction, input and output")
    parser.add_argument("--rows", type=int, help="rows of it (default: all)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side (default: 3)")
    options = parser.parse_args()
    texts = [query(row) for row in read_rows(options.data, options.rows)]
    exact = SentenceEncoder(device=options.device, dtype="float32")
    auto = SentenceEncoder(device=options.device)
    sides = {
        "a plain loop, batches of 32 in file order": lambda: plain_loop(exact, texts),
        "sentence-transformers' encode": lambda: default_encode(exact, texts),
        "ours, embedding_dtype float32": lambda: exact.encode(texts),
        f"ours, embedding_dtype auto ({'bfloat16' if auto.bfloat16 else 'float32'} here)": lambda: auto.encode(texts),
    }
    for encoder in (exact, auto):
        encoder.encode(texts[:256])
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    vectors: dict[str, NDArray[np.float32]] = {}
    for _ in range(options.repeats):
        for name, side in sides.items():
            taken, vectors[name] = timed(side)
            seconds[name].append(taken)
    loop, default, *_ = (median(taken) for taken in seconds.values())
    reference = vectors["sentence-transformers' encode"]
    budget = len(texts) // 5
    best = objective(reference, select(reference, budget).indices)
    rows = []
    for name, taken in seconds.items():
        cosines = (vectors[name] * reference).sum(axis=1)
        worth = objective(reference, select(vectors[name], budget).indices) / best
        each = median(taken)
        rows.append(
            [
                name,
                f"{each:.2f} ({min(taken):.2f} to {max(taken):.2f})",
                f"{len(texts) / each:,.0f}",
                f"{loop / each:.2f}",
                f"{default / each:.2f}",
                f"{cosines.mean():.6f}, {cosines.min():.6f}",
                f"{worth:.5f}",
            ]
        )
    print(f"{len(texts):,} texts, {torch.get_num_threads()} threads, {options.device}, {options.repeats} runs\n")
    head = ("", "seconds: median", "rows/s", "times the loop", "times encode", "cosine: mean, lowest", "objective")
    print(table(head, rows))


if __name__ == "__main__":
    main()
