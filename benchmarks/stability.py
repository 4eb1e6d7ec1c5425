"""How much seeds, row order and the number of topics change the selected rows and pairs.

    python benchmarks/stability.py [--data rows.jsonl[.gz]] [--embeddings rows.npy] [--rows 10000] [--seeds 5]

Groups rows into topics once for each seed, keeps 20 % of each topic and pairs the kept rows, with the functions and
defaults of the operators. Prints how similar topics, kept rows and pairs of two runs are, and the coverage of the kept
rows. Coverage is the highest cosine of a row to a kept row, as a mean over all rows; it is 1 if all are kept. For
comparison, it prints the same figures for random rows and for rows that are chosen without topics. Rows are compared
with kept rows in blocks, so memory grows linearly with the number of rows.
"""

from __future__ import annotations

import argparse
import gzip
from collections.abc import Callable, Sequence
from dataclasses import dataclass
from itertools import combinations
from pathlib import Path

import jsonlines
import numpy as np
from sklearn.metrics import adjusted_rand_score

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.merging.pairing import find_groups
from mergeit_ops.core.rows.identity import content_digest, number_duplicates
from mergeit_ops.core.selection.budget import proportional_budgets, ratio_budget
from mergeit_ops.core.selection.facility_location import objective, select
from mergeit_ops.core.topics.clustering import default_fit_sample_size, default_num_clusters, fit_sample, fit_topics
from mergeit_ops.embedding import load_encoder

SAMPLE = Path(__file__).resolve().parents[1] / "recipes" / "data" / "sample_instructions.jsonl"
RATIO = 0.2
THRESHOLD = 0.55
TOPIC_FACTORS = {"default number of topics": 1.0, "half as many": 0.5, "twice as many": 2.0}
COLUMNS = (
    "what differs",
    "runs",
    "topics",
    "kept",
    "ARI mean",
    "ARI lowest",
    "coverage",
    "spread",
    "rows in common",
    "pairs",
    "pairs in common",
)


@dataclass(frozen=True)
class Rows:
    """n rows in one order.

    :param digests: n content digests.
    :param vectors: (n, d) float32 vectors with unit norm.
    """

    digests: list[str]
    vectors: np.ndarray

    def in_order(self, order: np.ndarray) -> Rows:
        """Return the same rows in another order."""
        return Rows([self.digests[i] for i in order], self.vectors[order])


@dataclass(frozen=True)
class Outcome:
    """The results of one run.

    :param coverage: mean over all rows of the highest cosine to a kept row.
    :param kept: ids of the kept rows.
    :param labels: (n,) topic of each row, or None without topics.
    :param pairs: ids of the rows of each pair, or None without topics.
    """

    coverage: float
    kept: frozenset[str]
    labels: np.ndarray | None = None
    pairs: frozenset[frozenset[str]] | None = None


def read_rows(path: Path, most: int | None) -> tuple[list[str], list[str]]:
    """Return the content digests of the first rows of a file, and their texts to embed."""
    digests, texts = [], []
    with (gzip.open if path.suffix == ".gz" else open)(path, "rt", encoding="utf-8") as file:
        for row in jsonlines.Reader(file).iter(type=dict):
            if len(texts) == most:
                break
            digests.append(content_digest(row))
            texts.append(resolve_format("auto", list(row)).read(row).sample.query)
    return digests, texts


def coverage(vectors: np.ndarray, kept: np.ndarray) -> float:
    """Return the mean over all rows of the highest cosine to a kept row. A negative cosine counts as 0.

    :param vectors: (n, d) float32 vectors with unit norm.
    :param kept: positions of the kept rows.
    """
    return objective(vectors, kept) / len(vectors)


def with_topics(rows: Rows, num_clusters: int, seed: int, total: int | None = None) -> Outcome:
    """Group, select and pair like the operators. `total` is their `select_num`; None: a share of each topic."""
    ids = number_duplicates(rows.digests)
    sample = fit_sample(ids, default_fit_sample_size(num_clusters))
    labels = fit_topics(rows.vectors[sample], num_clusters, seed=seed).assign(rows.vectors)
    topics = [np.flatnonzero(labels == topic) for topic in np.unique(labels)]
    sizes = [len(members) for members in topics]
    budgets = [ratio_budget(size, RATIO) for size in sizes] if total is None else proportional_budgets(sizes, total)
    kept_of_topics = [
        members[np.sort(select(rows.vectors[members], int(budget)).indices)]
        for members, budget in zip(topics, budgets, strict=True)
    ]
    pairs = frozenset(
        frozenset(ids[members[i]] for i in group.members)
        for members in kept_of_topics
        for group in find_groups(rows.vectors[members], THRESHOLD)
    )
    kept = np.concatenate(kept_of_topics)
    return Outcome(coverage(rows.vectors, kept), frozenset(ids[i] for i in kept), labels, pairs)


def without_topics(rows: Rows, kept: np.ndarray) -> Outcome:
    ids = number_duplicates(rows.digests)
    return Outcome(coverage(rows.vectors, kept), frozenset(ids[i] for i in kept))


def flat(rows: Rows) -> Outcome:
    """Select from all rows at once."""
    kept = select(rows.vectors, ratio_budget(len(rows.vectors), RATIO)).indices
    return without_topics(rows, kept)


def reordered(rows: Rows, seed: int, run: Callable[[Rows], Outcome]) -> Outcome:
    """Run on the rows in another order, and return labels in the original order."""
    order = np.random.default_rng(seed).permutation(len(rows.vectors))
    outcome = run(rows.in_order(order))
    if outcome.labels is None:
        return outcome
    labels = np.empty_like(outcome.labels)
    labels[order] = outcome.labels
    return Outcome(outcome.coverage, outcome.kept, labels, outcome.pairs)


def in_common(sets: Sequence[frozenset]) -> float:
    """Return the mean Jaccard index over all pairs of sets. Two empty sets are equal."""
    return float(np.mean([len(a & b) / len(a | b) if a | b else 1.0 for a, b in combinations(sets, 2)]))


def lowest_to_highest(counts: Sequence[int]) -> str:
    low, high = min(counts), max(counts)
    return f"{low:,}" if low == high else f"{low:,}–{high:,}"


def line(name: str, outcomes: Sequence[Outcome]) -> list[str]:
    """Return a line of the table for at least two runs."""
    found = np.array([outcome.coverage for outcome in outcomes])
    cells = dict.fromkeys(COLUMNS, "–") | {"what differs": name, "runs": str(len(outcomes))}
    cells["kept"] = lowest_to_highest([len(outcome.kept) for outcome in outcomes])
    cells["coverage"] = f"{found.mean():.4f}"
    cells["spread"] = f"{(found.max() - found.min()) / found.mean():.2%}"
    cells["rows in common"] = f"{in_common([outcome.kept for outcome in outcomes]):.1%}"
    labels = [outcome.labels for outcome in outcomes if outcome.labels is not None]
    pairs = [outcome.pairs for outcome in outcomes if outcome.pairs is not None]
    if labels:
        alike = [adjusted_rand_score(a, b) for a, b in combinations(labels, 2)]
        cells |= {"ARI mean": f"{np.mean(alike):.3f}", "ARI lowest": f"{min(alike):.3f}"}
        cells["topics"] = str(round(np.mean([len(np.unique(one)) for one in labels])))
        cells["pairs"] = lowest_to_highest([len(one) for one in pairs])
    if any(pairs):
        cells["pairs in common"] = f"{in_common(pairs):.1%}"
    return list(cells.values())


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SAMPLE, help="JSON Lines, plain or .gz, in any sample format")
    parser.add_argument(
        "--embeddings", type=Path, help="NumPy file with one float32 vector of unit norm for each row of the data"
    )
    parser.add_argument("--save-embeddings", type=Path, help="file for the embeddings, for later runs")
    parser.add_argument("--rows", type=int, help="number of first rows to use (default: all)")
    parser.add_argument("--seeds", type=int, default=5, help="number of runs to compare, at least 2 (default: 5)")
    parser.add_argument("--no-flat", action="store_true", help="leave out the selection without topics")
    arguments = parser.parse_args()
    if arguments.seeds < 2:
        parser.error(f"--seeds must be at least 2, or there is nothing to compare; got {arguments.seeds}")
    digests, texts = read_rows(arguments.data, arguments.rows)
    if not texts:
        parser.error(f"{arguments.data} has no rows")
    if arguments.embeddings:
        vectors = np.load(arguments.embeddings, mmap_mode="r")
        # The file may have embeddings of more rows only if --rows left these rows out.
        if len(vectors) < len(texts) or (arguments.rows is None and len(vectors) > len(texts)):
            parser.error(f"--embeddings has {len(vectors):,} rows, the data {len(texts):,}")
        vectors = np.array(vectors[: len(texts)], dtype=np.float32)
    else:
        vectors = load_encoder().encode(texts)
    if arguments.save_embeddings:
        np.save(arguments.save_embeddings, vectors)
    rows = Rows(digests, vectors)
    n, seeds = len(vectors), range(arguments.seeds)
    topics, budget = default_num_clusters(n), ratio_budget(n, RATIO)
    different = len({vector.tobytes() for vector in vectors})
    print(f"{n:,} rows of {arguments.data.name} with {different:,} different embeddings\n")
    print("| " + " | ".join(COLUMNS) + " |\n" + "|---" * len(COLUMNS) + "|")

    def show(name: str, outcomes: list[Outcome]) -> None:
        print("| " + " | ".join(line(name, outcomes)) + " |", flush=True)

    for name, factor in TOPIC_FACTORS.items():
        wanted = max(1, round(factor * topics))
        show(f"seed; {name}", [with_topics(rows, wanted, seed) for seed in seeds])
    show("seed; one total, by select_num", [with_topics(rows, topics, seed, budget) for seed in seeds])
    show("order of the rows", [reordered(rows, seed, lambda one: with_topics(one, topics, 42)) for seed in seeds])
    if not arguments.no_flat:
        show("no topics; order of the rows", [reordered(rows, seed, flat) for seed in seeds])
    drawn = [np.random.default_rng(seed).choice(n, budget, replace=False) for seed in seeds]
    show("drawn at random", [without_topics(rows, one) for one in drawn])


if __name__ == "__main__":
    main()
