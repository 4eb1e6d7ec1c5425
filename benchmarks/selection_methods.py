"""Methods of selection: processor seconds and peak memory, beside what a user would write with NumPy.

    python benchmarks/selection_methods.py [--rows 10000 100000] [--chosen 1000] [--only k_center dpp]

Each choice runs once, in a process of its own, on made-up unit vectors of 384 dimensions around random centres, and on
made-up scores, texts of twelve words, five tags and a topic for each row, where the method needs them. Seconds
are those that one processor works for the choice alone, so that other work on the machine matters little. The peak is
that of the process, which holds Python, its libraries and the vectors. What is written with NumPy chooses the same rows
as the method, up to ties and random shares, or is left out where it would hold a matrix of all rows by all rows that
does not fit.
"""

from __future__ import annotations

import argparse
import importlib
import sys
import tempfile
from pathlib import Path

import numpy as np
from common import run, table

DIMENSIONS = 384
MOST_SQUARE = 20_000

# Each reads vectors from argv[1], chooses argv[2] rows and writes its seconds to argv[3].
HEAD = """\
import sys, time
import numpy as np
vectors = np.load(sys.argv[1])
budget, n = int(sys.argv[2]), len(vectors)
"""
OURS = """
import importlib
from mergeit_ops.core.selection.method import Pool
module, name = {method!r}
method = getattr(importlib.import_module("mergeit_ops.core.selection." + module), name)(**{options!r})
rng = np.random.default_rng(1)
known = {{}}
if "vectors" in method.needs:
    known["vectors"] = vectors
if "scores" in method.needs:
    known["scores"] = rng.random(n)
if "topics" in method.needs:
    known["topics"] = rng.integers(max(1, n // 500), size=n)
if "tags" in method.needs:
    tags = rng.zipf(1.5, size=(n, 5)) % 20_000
    known["tags"] = [tuple(dict.fromkeys(f"tag {{tag}}" for tag in row)) for row in tags.tolist()]
if "texts" in method.needs:
    words = rng.zipf(1.3, size=(n, 12)) % 50_000
    known["texts"] = [" ".join(f"word{{word}}" for word in row) for row in words.tolist()]
pool = Pool(**known)
start = time.process_time()
chosen = method.select(pool, budget if {counted!r} else n).indices
"""
K_CENTER = """
start = time.process_time()
chosen = [int((vectors @ vectors.mean(axis=0)).argmax())]
distances = np.full(n, np.inf, dtype=np.float32)
while len(chosen) < budget:
    distances = np.minimum(distances, 2 - 2 * vectors @ vectors[chosen[-1]])
    chosen.append(int(distances.argmax()))
"""
QUANTIZATION = """
start = time.process_time()
similar, left, chosen = vectors @ vectors.T, np.arange(n), []
for _ in range(10):
    own = similar[np.ix_(left, left)]
    gains, taken = own.sum(axis=1), []
    for _ in range(n // 10):
        best = int(gains.argmax())
        taken.append(best)
        gains = gains - 2 * own[best]
        gains[taken] = -np.inf
    chosen += np.random.choice(left[taken], budget // 10, replace=False).tolist()
    left = np.delete(left, taken)
"""
DPP = """
start = time.process_time()
squared = np.maximum(2 - 2 * vectors @ vectors.T, 0)
kernel = np.exp(-squared / (2 * np.median(squared[:1000, :1000])))
factors, remaining = np.zeros((budget, n)), np.ones(n)
chosen = [0]
while len(chosen) < budget:
    k, j = len(chosen) - 1, chosen[-1]
    factors[k] = (kernel[j] - factors[:k, j] @ factors[:k]) / np.sqrt(remaining[j])
    remaining = remaining - factors[k] ** 2
    remaining[chosen] = -np.inf
    chosen.append(int(remaining.argmax()))
"""
NOVELTY = """
from sklearn.neighbors import NearestNeighbors
start = time.process_time()
squared = NearestNeighbors(n_neighbors=11).fit(vectors).kneighbors(vectors)[0][:, 1:] ** 2
density = (squared.mean(axis=1) + 1e-9) ** -0.5
chosen, distances = [0], np.zeros((n, 0), dtype=np.float32)
while len(chosen) < budget:
    j = chosen[-1]
    new = (density + density[j]) * (1 - vectors @ vectors[j])
    distances = np.sort(np.column_stack([distances, new.astype(np.float32)]), axis=1)
    novelty = (distances / np.arange(1, len(chosen) + 1)).mean(axis=1)
    novelty[chosen] = -np.inf
    chosen.append(int(novelty.argmax()))
"""
CENTROID_DISTANCE = """
start = time.process_time()
chosen = np.argsort(-np.linalg.norm(vectors - vectors.mean(axis=0), axis=1))[:budget]
"""
WRITE = """
open(sys.argv[3], "w").write(str(time.process_time() - start))
assert len(set(map(int, chosen))) == len(chosen) <= n
"""
METHODS = {
    "k_center": ("k_center", "KCenter"),
    "quantization": ("quantization", "Quantization"),
    "dpp": ("dpp", "DPP"),
    "novelty": ("novelty", "Novelty"),
    "centroid_distance": ("centroid_distance", "CentroidDistance"),
    "facility_location": ("facility_location", "FacilityLocation"),
    "similarity_filter": ("similarity_filter", "SimilarityFilter"),
    "cluster_top": ("cluster_top", "ClusterTop"),
    "ngram_coverage": ("ngram_coverage", "NgramCoverage"),
    "complexity_first": ("complexity_first", "ComplexityFirst"),
    "information_gain": ("information_gain", "InformationGain"),
    "naive_bayes": ("low_confidence.method", "NaiveBayesConfidence"),
    "logistic": ("low_confidence.method", "LogisticConfidence"),
    "semantic_deduplication": ("semantic_deduplication", "SemanticDeduplication"),
}
OPTIONS = {"similarity_filter": {"max_similarity": 0.8}, "semantic_deduplication": {"max_similarity": 0.8}}
UNCOUNTED = ("semantic_deduplication",)
PLAIN = {
    "k_center": K_CENTER,
    "quantization": QUANTIZATION,
    "dpp": DPP,
    "novelty": NOVELTY,
    "centroid_distance": CENTROID_DISTANCE,
}
SQUARE = ("quantization", "dpp")


def made_up(rows: int) -> np.ndarray:
    """Return unit vectors around random centres, one for each hundred of them."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((rows // 100, DIMENSIONS), dtype=np.float32)
    vectors = rng.standard_normal((rows, DIMENSIONS), dtype=np.float32)
    vectors += centres[rng.integers(len(centres), size=rows)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def measured(code: str, vectors: Path, chosen: int) -> tuple[str, str]:
    """Return the seconds of one choice and the peak memory of its process, as text."""
    seconds = vectors.with_suffix(".seconds")
    # One thread: several would wait for each other on a busy machine, and waiting counts as work.
    code = HEAD + code + WRITE
    _, peak = run([sys.executable, "-c", code, vectors, str(chosen), seconds], OPENBLAS_NUM_THREADS="1")
    return f"{float(seconds.read_text()):.1f}", f"{peak:,.0f}"


def refusal(name: str, rows: int, chosen: int) -> str:
    """Return why a method is not meant for so many rows; empty: it is."""
    module, method = METHODS[name]
    made = getattr(importlib.import_module(f"mergeit_ops.core.selection.{module}"), method)
    return made(**OPTIONS.get(name, {})).refusal(rows, chosen)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000], help="rows to choose from")
    parser.add_argument("--chosen", type=int, default=1_000, help="rows to choose (default: 1,000)")
    parser.add_argument("--only", nargs="+", default=list(METHODS), help="methods (default: all)")
    parser.add_argument("--alone", action="store_true", help="without what is written with NumPy")
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        for rows in options.rows:
            np.save(path, made_up(rows))
            for name in options.only:
                if refusal(name, rows, options.chosen):
                    lines.append([name, f"{rows:,}", "refused", "", "", ""])
                    continue
                code = OURS.format(method=METHODS[name], options=OPTIONS.get(name, {}), counted=name not in UNCOUNTED)
                ours = measured(code, path, options.chosen)
                fits = name not in SQUARE or rows <= MOST_SQUARE
                plain = ("", "")
                if name in PLAIN and not options.alone:
                    plain = measured(PLAIN[name], path, options.chosen) if fits else ("does not fit", "")
                lines.append([name, f"{rows:,}", *ours, *plain])
                print(*lines[-1], file=sys.stderr, flush=True)
    print(table(["method", "rows", "processor seconds", "MiB", "with NumPy", "MiB"], lines))


if __name__ == "__main__":
    main()
