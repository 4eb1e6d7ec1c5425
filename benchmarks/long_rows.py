"""Benefit and cost of embedding all windows of long rows: `embedding_window: mean` compared with `first`.

    python benchmarks/long_rows.py --long p3.jsonl.gz [--texts 300] [--models NAME ...]

- Halves: rows of a file whose two halves are each longer than the default model's window. The figure is accuracy@1: how
  often the nearest second half of a first half belongs to the same row.
- Chats: the rows of each source of the sample are divided into two conversations of questions and answers
  (`embedding_text: all`), once without changes, and once after an opening of 150 words from another source. The figure
  is the share of chats whose nearest chat has the same source.
- Rows of one window: the cost of `mean` if no row is long.
"""

from __future__ import annotations

import argparse
import gzip
import json
import os
import time
from collections import defaultdict
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from common import DATA, SAMPLE, query, read_rows, table

from mergeit_ops.embedding import DEFAULT_EMBEDDING_MODEL, load_encoder
from mergeit_ops.embedding.windows import embed_texts

LEAST_HALF = 1_600  # characters: more than 256 tokens
OPENING = 150  # words


def halves(path: Path, count: int) -> tuple[list[str], list[str]]:
    """Return the halves of long texts."""
    with gzip.open(path, "rt", encoding="utf-8") as file:
        texts = dict.fromkeys(query(json.loads(line)) for line in file)
    long = [text for text in texts if len(text) >= 2 * LEAST_HALF]
    step = max(1, len(long) // count)
    some = long[::step][:count]
    return [text[: len(text) // 2] for text in some], [text[len(text) // 2 :] for text in some]


def chats(opening: bool) -> tuple[list[str], list[str]]:
    """Return synthetic chats, two disjoint ones of each source, and their sources."""
    by_source = defaultdict(list)
    for row in read_rows(SAMPLE):
        by_source[row["source"]].append(f"{query(row)}\n{row['output']}")
    draw = np.random.default_rng(0)
    made, sources = [], []
    for source in sorted(by_source):
        rows = [by_source[source][row] for row in draw.permutation(len(by_source[source]))]
        for half in (rows[::2], rows[1::2]):
            if opening:
                other = draw.choice(sorted(set(by_source) - {source}))
                words = " ".join(by_source[other][row] for row in draw.permutation(len(by_source[other]))).split()
                half = [" ".join(words[:OPENING]), *half]
            made.append("\n".join(half))
            sources.append(source)
    return made, sources


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--long", type=Path, required=True, help="gzipped JSON Lines with long instructions")
    parser.add_argument("--texts", type=int, default=300, help="number of long rows (default: 300)")
    parser.add_argument("--models", nargs="+", default=[DEFAULT_EMBEDDING_MODEL], help="names or folders")
    options = parser.parse_args()
    first, second = halves(options.long, options.texts)
    short = [query(row) for row in read_rows(DATA, 1_000)]
    rows = []
    for model in options.models:
        encoder = load_encoder(model)
        encoder.encode(short[:64])
        for window in ("first", "mean"):
            start = time.process_time()
            one, other = (embed_texts(encoder, texts, None, window) for texts in (first, second))
            seconds = time.process_time() - start
            found = ((one.vectors @ other.vectors.T).argmax(axis=1) == np.arange(len(first))).mean()
            purity = []
            for opening in (False, True):
                made, sources = chats(opening)
                cosines = (vectors := embed_texts(encoder, made, None, window).vectors) @ vectors.T
                np.fill_diagonal(cosines, -2)
                purity.append((np.array(sources)[cosines.argmax(axis=1)] == np.array(sources)).mean())
            start = time.process_time()
            embed_texts(encoder, short, None, window)
            plain = time.process_time() - start
            longer = f"{one.longer + other.longer} of {len(first) + len(second)}"
            cost = f"{seconds:.1f} s"
            rows.append(
                [model, window, longer, f"{found:.2f}", cost, *(f"{part:.2f}" for part in purity), f"{plain:.1f} s"]
            )
    head = ("model", "window", "longer", "halves found", "cost of the halves", "chats", "chats after an opening")
    print(table((*head, "1,000 short rows"), rows))


if __name__ == "__main__":
    main()
