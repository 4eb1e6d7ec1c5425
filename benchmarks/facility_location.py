"""Facility location: the selector's greedy beside submodlib, topic by topic and on a whole dataset.

    python benchmarks/facility_location.py [--data rows.jsonl] [--repeats 5] [--apricot PYTHON]

For topics both sides choose 20 % on the same ready kernel; what computing it takes stands apart. A flat selection
of 20 % of all rows is run in a process of its own for each side, from embeddings to indices: seconds, peak memory, and
the objective as a share of the best. apricot-select, which wants other versions of its libraries than Data-Juicer, runs
with the Python named (`python -m venv V; V/bin/pip install apricot-select`), or is left out.
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
    "ours": "from mergeit_ops.core.facility_location import select\nchosen = select(vectors, budget).indices",
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

    from mergeit_ops.core.facility_location import greedy, similarity

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
    from mergeit_ops.core.facility_location import objective

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


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="JSON Lines with instruction, input and output")
    parser.add_argument("--embeddings", type=Path, help=".npy of unit vectors, instead of embedding the data")
    parser.add_argument("--repeats", type=int, default=5, help="runs of each topic; the fastest counts (default: 5)")
    parser.add_argument("--apricot", help="a Python that has apricot-select")
    options = parser.parse_args()
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
