"""Rows per second of embedding, compared with sentence-transformers' default and a plain loop.

    python benchmarks/embedding.py [--data rows.jsonl] [--rows 9229] [--device cpu] [--repeats 3] [--threads 2]

All sides embed the same texts with the same weights in one process, and take turns. The plain loop takes batches of 32
in the order of the file, like the method's released code. Next to the times, the table has the cosines to
sentence-transformers' vectors, and the quality of a selection of 20 % with each side's vectors. Quality is the facility
location objective of the selected rows, computed with sentence-transformers' vectors. It is given as a share of the
objective that a selection with these vectors reaches.

A second table shows the cost of giving a text the same embedding in every batch. It compares fixed shapes with batches
of up to 2,048 tokens, for all texts and for calls with few texts. A ratio is the median over pairs of consecutive runs.
"""

from __future__ import annotations

import argparse
from pathlib import Path

import numpy as np
import torch
from common import DATA, median, query, read_rows, table, timed
from numpy.typing import NDArray

from mergeit_ops.core.selection.facility_location import objective, select
from mergeit_ops.embedding import SentenceEncoder
from mergeit_ops.embedding.batches import batches_of_like_lengths
from mergeit_ops.embedding.precision import precision
from mergeit_ops.embedding.threads import in_threads

BATCH = 32
TOKENS = {"cpu": 2_048, "cuda": 65_536}
FEW = (1, 10, 100)


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
    """Embed with sentence-transformers' defaults."""
    return encoder._model.encode(texts, normalize_embeddings=True, show_progress_bar=False)


def shapes_that_vary(encoder: SentenceEncoder, texts: list[str], device: str, bfloat16: bool) -> NDArray[np.float32]:
    """Embed in batches of texts with similar lengths, padded to the longest text of the batch.

    :param encoder: encoder in float32; autocast converts its weights.
    """
    model = encoder._model
    counts = [len(ids) for ids in model.tokenizer(texts, truncation=True, max_length=model.max_seq_length)["input_ids"]]
    batches = batches_of_like_lengths(counts, most_tokens=TOKENS[device])

    def embed(batch: NDArray[np.int64]) -> NDArray[np.float32]:
        some = [texts[i] for i in batch]
        with precision(device, bfloat16):
            return np.asarray(model.encode(some, batch_size=len(batch), show_progress_bar=False), dtype=np.float32)

    found = in_threads(embed, batches) if device == "cpu" and len(batches) > 1 else map(embed, batches)
    vectors = np.empty((len(texts), encoder.width), dtype=np.float32)
    for batch, rows in zip(batches, found, strict=True):
        vectors[batch] = rows
    return vectors / np.linalg.norm(vectors, axis=1, keepdims=True)


def cost_of_fixed_shapes(
    exact: SentenceEncoder, texts: list[str], device: str, repeats: int, few_repeats: int
) -> list[list[str]]:
    """Return a row for each dtype and number of texts."""
    encoders = {"float32": exact, "bfloat16": SentenceEncoder(device=device, dtype="bfloat16")}
    draw = np.random.default_rng(0)

    def pairs(dtype: str, count: int) -> list[str]:
        varying, fixed = [], []
        for _ in range(repeats if count == len(texts) else few_repeats):
            some = [texts[i] for i in draw.permutation(len(texts))[:count]]
            varying.append(timed(lambda: shapes_that_vary(exact, some, device, dtype == "bfloat16"))[0])  # noqa: B023
            fixed.append(timed(lambda: encoders[dtype].encode(some))[0])  # noqa: B023
        ratios = [after / before for before, after in zip(varying, fixed, strict=True)]
        spread = f"{median(ratios):.2f} ({min(ratios):.2f} to {max(ratios):.2f})"
        return [dtype, f"{count:,}", f"{median(varying):.3f}", f"{median(fixed):.3f}", spread]

    return [pairs(dtype, count) for dtype in encoders for count in (*FEW, len(texts))]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="JSON Lines with instruction, input and output")
    parser.add_argument("--rows", type=int, help="number of rows (default: all)")
    parser.add_argument("--device", default="cpu")
    parser.add_argument("--repeats", type=int, default=3, help="runs of each side (default: 3)")
    parser.add_argument("--threads", type=int, help="threads of torch (default: torch's own number)")
    parser.add_argument("--few-repeats", type=int, default=15, help="runs of a call with few texts (default: 15)")
    parser.add_argument("--cost-only", action="store_true", help="print only the second table")
    options = parser.parse_args()
    if options.threads:
        torch.set_num_threads(options.threads)
    texts = [query(row) for row in read_rows(options.data, options.rows)]
    exact = SentenceEncoder(device=options.device, dtype="float32")
    exact.encode(texts[:256])
    if not options.cost_only:
        compare_sides(exact, texts, options.device, options.repeats)
    print(f"\nFixed shapes compared with variable shapes, {torch.get_num_threads()} threads, {options.device}\n")
    head = ("dtype", "texts", "shapes vary: seconds", "fixed shapes: seconds", "ratio")
    print(table(head, cost_of_fixed_shapes(exact, texts, options.device, options.repeats, options.few_repeats)))


def compare_sides(exact: SentenceEncoder, texts: list[str], device: str, repeats: int) -> None:
    """Print the first table."""
    auto = SentenceEncoder(device=device)
    sides = {
        "a plain loop, batches of 32 in file order": lambda: plain_loop(exact, texts),
        "sentence-transformers' encode": lambda: default_encode(exact, texts),
        "ours, embedding_dtype float32": lambda: exact.encode(texts),
        f"ours, embedding_dtype auto ({'bfloat16' if auto.bfloat16 else 'float32'} here)": lambda: auto.encode(texts),
    }
    auto.encode(texts[:256])
    seconds: dict[str, list[float]] = {name: [] for name in sides}
    vectors: dict[str, NDArray[np.float32]] = {}
    for _ in range(repeats):
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
    print(f"{len(texts):,} texts, {torch.get_num_threads()} threads, {device}, {repeats} runs\n")
    head = ("", "seconds: median", "rows/s", "times the loop", "times encode", "cosine: mean, lowest", "objective")
    print(table(head, rows))


if __name__ == "__main__":
    main()
