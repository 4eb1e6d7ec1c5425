"""Memory of comparing large sets: all measures of two files with 50,000 rows each, with intervals.

The rows are synthetic: unit vectors around centres of very different sizes, some of them near copies. `--embeddings`
takes real vectors: all of them are the reference, and each file has nine tenths of them.
"""

from __future__ import annotations

import argparse
import resource
import time
from pathlib import Path

import numpy as np
from numpy.typing import NDArray

from mergeit_ops.compare.measuring import compare_sets
from mergeit_ops.compare.reading import RowSet
from mergeit_ops.core.sample import Sample

GIB = 2**30
CENTRES = 4_000


def made_up(rows: int, width: int, seed: int) -> NDArray[np.float32]:
    """Return unit vectors around centres whose shares fall like 1 / rank."""
    rng = np.random.default_rng(seed)
    centres = np.random.default_rng(0).normal(size=(CENTRES, width)).astype(np.float32)
    shares = 1 / np.arange(1, CENTRES + 1)
    found = centres[rng.choice(CENTRES, rows, p=shares / shares.sum())]
    found += rng.normal(size=(rows, width)).astype(np.float32) * rng.uniform(0.1, 1, (rows, 1)).astype(np.float32)
    found /= np.linalg.norm(found, axis=1, keepdims=True)
    return found


def as_set(name: str, ids: NDArray[np.int64]) -> RowSet:
    samples = [Sample(f"{name} {number}", "", "x" * 300) for number in ids]
    return RowSet(Path(name), len(samples), samples, [f"{number:020d}" for number in ids], [None] * len(samples))


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=50_000, help="rows of each of two files, and of the reference")
    parser.add_argument("--width", type=int, default=384)
    parser.add_argument("--embeddings", type=Path, help="a .npy file of unit vectors, instead of synthetic ones")
    options = parser.parse_args()
    if options.embeddings is not None:
        pool = np.load(options.embeddings).astype(np.float32)[: options.rows]
        # Each file lacks another tenth, so both have the same size but different rows.
        kept = [np.flatnonzero(np.arange(len(pool)) % 10 != left_out) for left_out in (0, 5)]
        vectors = [pool[kept[0]], pool[kept[1]], pool]
        ids = [*kept, np.arange(len(pool))]
    else:
        vectors = [made_up(options.rows, options.width, seed) for seed in (1, 2, 3)]
        ids = [np.arange(options.rows) + part * options.rows for part in range(3)]
    first, second, reference = (as_set(name, part) for name, part in zip(("a", "b", "reference"), ids, strict=True))
    scores = [dict(enumerate(np.random.default_rng(seed).normal(3, 1, 5_000).tolist())) for seed in (0, 1)]
    before = time.process_time()
    last = [time.process_time(), ""]

    def say(line: str) -> None:
        now = time.process_time()
        if last[1]:
            print(f"{now - last[0]:8.1f} s  {last[1]}", flush=True)
        last[:] = [now, line]

    found = compare_sets([first, second], reference, vectors, scores, say=say)
    say("")
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss * 1024
    sizes = " and ".join(f"{file.rows:,}" for file in found.files)
    print(f"{sizes} rows against {len(reference.samples):,}: {time.process_time() - before:.0f} s of processor time")
    print(f"peak memory {peak / GIB:.2f} GiB")
    for key, interval in found.files[0].values.items():
        print(f"  {key}: {interval.estimate:.4f}")


if __name__ == "__main__":
    main()
