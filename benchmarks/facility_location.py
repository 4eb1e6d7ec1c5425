"""Facility location: the selector's greedy algorithm compared with submodlib, for single topics and a whole dataset.

    python benchmarks/facility_location.py [--data rows.jsonl] [--repeats 5] [--apricot PYTHON]

For single topics, both sides choose 20 % with the same precomputed kernel; the time to compute it is a separate column.
A flat selection of 20 % of all rows runs in its own process for each side, from embeddings to indices. The table has
seconds, peak memory, and the objective as a share of the best one. apricot-select needs other library versions than
Data-Juicer, so it runs with the Python of `--apricot` (`python -m venv V; V/bin/pip install apricot-select`), or is
left out. `--shapes 12000` only compares selections without a kernel of all rows with the exact greedy algorithm, on
synthetic rows of many shapes.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import DATA, query, read_rows, run, table, timed

SIZES = (100, 300, 1_000, 3_000)
SHARE = 5
# Each reads embeddings from argv[1], chooses argv[2] rows and writes their positions to argv[3].
READ = "import sys, numpy as np\nvectors = np.load(sys.argv[1])\nbudget = int(sys.argv[2])\n"
WRITE = "\nnp.save(sys.argv[3], np.asarray(chosen, dtype=np.int64))\n"
FLAT = {
    "ours": "from mergeit_ops.core.selection.facility_location import select\nchosen = select(vectors, budget).indices",
    "submodlib, dense, cosine": (
        "from submodlib import FacilityLocationFunction\n"
        "kernel = vectors @ vectors.T\n"
        "function = FacilityLocationFunction(n=len(vectors), mode='dense', separate_rep=False, sijs=kernel)\n"
        "chosen = [j for j, _ in function.maximize(budget=budget, optimizer='LazyGreedy', show_progress=False)]"
    ),
}
APRICOT = (
    "from apricot import FacilityLocationSelection\n"
    "kernel = np.maximum(vectors @ vectors.T, 0).astype(np.float64)\n"
    "selector = FacilityLocationSelection(budget, metric='precomputed', optimizer='lazy')\n"
    "chosen = selector.fit(kernel).ranking"
)


def topics(vectors: np.ndarray, repeats: int) -> str:
    """Return the table of single topics."""
    from submodlib import FacilityLocationFunction

    from mergeit_ops.core.selection.facility_location import greedy, similarity

    lines = []
    for size in (size for size in SIZES if size <= len(vectors)):
        topic, budget = vectors[:size], size // SHARE
        kernel_seconds, kernel = timed(lambda topic=topic: similarity(topic, topic, "cosine"))

        def direct(kernel: np.ndarray = kernel, size: int = size, budget: int = budget) -> list[tuple[int, float]]:
            function = FacilityLocationFunction(n=size, mode="dense", separate_rep=False, sijs=kernel)
            return function.maximize(
                budget=budget,
                optimizer="LazyGreedy",
                stopIfZeroGain=False,
                stopIfNegativeGain=False,
                show_progress=False,
            )

        ours: list[float] = []
        theirs: list[float] = []
        for _ in range(repeats):
            seconds, chosen = timed(direct)
            theirs.append(seconds)
            seconds, selection = timed(lambda kernel=kernel, budget=budget: greedy(kernel, budget))
            ours.append(seconds)
        lines.append(
            [
                f"{size:,}",
                f"{1000 * min(theirs):.1f}",
                f"{1000 * min(ours):.1f}",
                f"{min(theirs) / min(ours):.2f}",
                f"{selection.gains.sum() / sum(gain for _, gain in chosen):.6f}",
                f"{1000 * kernel_seconds:.1f}",
            ]
        )
    head = ("rows of a topic", "submodlib ms", "ours ms", "times submodlib", "objective: ours / submodlib", "kernel ms")
    return table(head, lines)


def flat(vectors: np.ndarray, apricot: str | None) -> str:
    """Return the table of selections from all rows."""
    from mergeit_ops.core.selection.facility_location import objective

    budget = len(vectors) // SHARE
    sides = [(name, sys.executable, code) for name, code in FLAT.items()]
    if apricot:
        sides.append(("apricot-select, lazy, precomputed cosine", apricot, APRICOT))
    found = []
    with tempfile.TemporaryDirectory() as folder:
        source, target = Path(folder, "vectors.npy"), Path(folder, "chosen.npy")
        np.save(source, vectors)
        for name, python, code in sides:
            seconds, peak = run([python, "-W", "ignore", "-c", READ + code + WRITE, source, str(budget), target])
            found.append((name, seconds, peak, objective(vectors, np.load(target))))
    best = max(value for *_, value in found)
    lines = [[name, f"{seconds:.1f}", f"{peak:,.0f}", f"{value / best:.5f}"] for name, seconds, peak, value in found]
    return table((f"{budget:,} of {len(vectors):,} rows", "seconds", "peak MiB", "objective"), lines)


def shapes(rows: int) -> dict[str, np.ndarray]:
    """Return synthetic embeddings in which many gains are equal, or which a few rows cover."""
    rng = np.random.default_rng(0)
    centres = rng.normal(size=(20, 64))
    outliers = rows // 10
    giant = np.repeat(centres[:1], rows - outliers, axis=0)
    far = rng.normal(size=(outliers, 64))
    made = {
        "one vector": np.repeat(centres[:1], rows, axis=0),
        "one vector and outliers": np.concatenate([giant, far]),
        "a very dense cluster and outliers": np.concatenate([giant + 1e-3 * rng.normal(size=giant.shape), far]),
        "a dense cluster and outliers": np.concatenate([giant + 0.1 * rng.normal(size=giant.shape), far]),
        "a core and a wide halo": np.repeat(centres[:1], rows, axis=0)
        + np.where(np.arange(rows) % 2, 0.01, 1.0)[:, None] * rng.normal(size=(rows, 64)),
        "two clusters": centres[rng.integers(0, 2, rows)] + 0.1 * rng.normal(size=(rows, 64)),
        "twenty clusters": centres[rng.integers(0, 20, rows)] + 0.5 * rng.normal(size=(rows, 64)),
        "no clusters": rng.normal(size=(rows, 64)),
        "each row twenty times": np.repeat(rng.normal(size=(rows // 20, 64)), 20, axis=0),
    }
    return {
        name: (vectors / np.linalg.norm(vectors, axis=1, keepdims=True)).astype(np.float32)
        for name, vectors in made.items()
    }


def large(rows: int) -> str:
    """Return the table that compares selections without a kernel of all rows with the exact greedy algorithm."""
    from mergeit_ops.core.selection.facility_location import objective, select, similarity
    from mergeit_ops.core.selection.lazy_greedy import lazy_greedy

    lines = []
    select(shapes(1_000)["no clusters"], 300, dense_rows=500)  # loads its imports
    for name, vectors in shapes(rows).items():
        budget = len(vectors) // SHARE
        ours, chosen = timed(lambda vectors=vectors, budget=budget: select(vectors, budget, dense_rows=rows // 2))
        exact, best = timed(
            lambda vectors=vectors, budget=budget: lazy_greedy(similarity(vectors, vectors, "cosine"), budget)
        )
        share = objective(vectors, chosen.indices) / objective(vectors, best.indices)
        lines.append([name, f"{exact:.1f}", f"{ours:.1f}", f"{ours / exact:.2f}", f"{share:.5f}"])
    head = (f"{rows:,} rows, {rows // SHARE:,} chosen", "exact s", "ours s", "ours / exact", "objective: ours / exact")
    return table(head, lines)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="JSON Lines with instruction, input and output")
    parser.add_argument("--embeddings", type=Path, help=".npy of unit vectors, instead of embedding the data")
    parser.add_argument(
        "--repeats", type=int, default=5, help="runs for each topic, of which the fastest counts (default: 5)"
    )
    parser.add_argument(
        "--shapes", type=int, metavar="ROWS", help="only compare shapes of synthetic rows, such as 12000"
    )
    parser.add_argument("--apricot", help="a Python that has apricot-select")
    options = parser.parse_args()
    if options.shapes:
        print(large(options.shapes))
        return
    if options.embeddings:
        vectors = np.load(options.embeddings).astype(np.float32)
    else:
        from mergeit_ops.embedding import load_encoder

        vectors = load_encoder().encode([query(row) for row in read_rows(options.data)])
    print(topics(vectors, options.repeats))
    print()
    print(flat(vectors, options.apricot))


if __name__ == "__main__":
    main()
