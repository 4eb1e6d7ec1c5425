"""Processor seconds and peak memory of selection methods, compared with common alternatives.

    python benchmarks/selection_methods.py [--rows 10000 100000] [--chosen 1000] [--only k_center dpp]
        [--apricot PYTHON]

Each selection runs once, in its own process, on synthetic unit vectors with 384 dimensions around random centres. If a
method needs them, each row also has a synthetic score, a text of twelve words, five tags and a topic. Seconds are
processor seconds of the selection alone, so other work on the machine matters little. The peak is that of the process
with Python, its libraries and the vectors.

The alternatives are written with NumPy, pandas or scikit-learn, or are submodlib or apricot. They choose the same rows
except for ties and random choices; deduplication also has different cells. An alternative is left out if a matrix of
all rows by all rows does not fit into memory. `naive_bayes` and `logistic` use scikit-learn themselves, so they have no
alternative.
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
def scores():
    return np.random.default_rng(1).random(n)
def topics():
    return np.random.default_rng(2).integers(max(1, n // 500), size=n)
def tags():
    numbers = np.random.default_rng(3).zipf(1.5, size=(n, 5)) % 20_000
    return [tuple(dict.fromkeys(f"tag {tag}" for tag in row)) for row in numbers.tolist()]
def texts():
    numbers = np.random.default_rng(4).zipf(1.3, size=(n, 12)) % 50_000
    return [" ".join(f"word{word}" for word in row) for row in numbers.tolist()]
"""
OURS = """
known = {{}}
import importlib
from mergeit_ops.core.selection.method import Pool
module, name = {method!r}
method = getattr(importlib.import_module("mergeit_ops.core.selection." + module), name)(**{options!r})
if "scores" in method.needs:
    known["scores"] = scores()
if "topics" in method.needs:
    known["topics"] = topics()
if "tags" in method.needs:
    known["tags"] = tags()
if "texts" in method.needs:
    known["texts"] = texts()
if "vectors" in method.needs:
    known["vectors"] = vectors
pool = Pool(**known)
start = time.process_time()
chosen = method.select(pool, budget if {counted!r} else n).indices
"""
# Like a selector after `topic_cluster_grouper`, which chooses from each cell separately.
PER_CELL = """
from mergeit_ops.core.selection.method import Pool
from mergeit_ops.core.selection.quantization import Quantization
start = time.process_time()
chosen = []
for first in range(0, n, 1_000):
    share = budget * min(n, first + 1_000) // n - budget * first // n
    found = Quantization().select(Pool(vectors=vectors[first : first + 1_000]), share)
    chosen += (first + found.indices).tolist()
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
SIMILARITY_FILTER = """
order = np.argsort(-scores(), kind="stable")
start = time.process_time()
chosen, kept = [], np.empty((budget, vectors.shape[1]), dtype=np.float32)
for row in order.tolist():
    if len(chosen) == budget:
        break
    if not chosen or (kept[: len(chosen)] @ vectors[row]).max() <= 0.8:
        kept[len(chosen)] = vectors[row]
        chosen.append(row)
"""
CLUSTER_TOP = """
import pandas as pd
frame = pd.DataFrame({"score": scores(), "topic": topics()})
start = time.process_time()
ranked = frame.sort_values("score", ascending=False, kind="stable")
best = ranked.groupby("topic").head(1).index
chosen = [*best, *ranked.index.difference(best, sort=False)][:budget]
"""
NGRAM_COVERAGE = """
from sklearn.feature_extraction.text import CountVectorizer
quality, given = scores(), texts()
start = time.process_time()
counts = CountVectorizer(ngram_range=(1, 3)).fit_transform(given)
rarity = np.log(n / np.bincount(counts.indices, minlength=counts.shape[1]))
chosen = []
while len(chosen) < budget:
    priority = counts @ rarity * quality
    priority[chosen] = -1
    chosen.append(int(priority.argmax()))
    rarity[counts[chosen[-1]].indices] = 0
"""
COMPLEXITY_FIRST = """
own = [set(row) for row in tags()]
start = time.process_time()
left, chosen = sorted(range(n), key=lambda row: -len(own[row])), []
while len(chosen) < budget:
    covered, rest = set(), []
    for row in left:
        if len(chosen) < budget and not own[row] <= covered:
            covered |= own[row]
            chosen.append(row)
        else:
            rest.append(row)
    left = rest
"""
INFORMATION_GAIN = """
given = tags()
names = {name: number for number, name in enumerate(dict.fromkeys(tag for row in given for tag in row))}
start = time.process_time()
ids = np.array([names[tag] for row in given for tag in row])
owners = np.repeat(np.arange(n), [len(row) for row in given])
values, received, chosen = scores()[owners], np.full(len(names), 1e-8), []
while len(chosen) < budget:
    gains = np.bincount(owners, (received[ids] + values) ** 0.8 - received[ids] ** 0.8)
    gains[chosen] = -np.inf
    chosen.append(int(gains.argmax()))
    own = owners == chosen[-1]
    received[ids[own]] += values[own]
"""
SEMANTIC_DEDUPLICATION = """
from sklearn.cluster import KMeans
start = time.process_time()
labels = KMeans(max(1, n // 1_000), n_init=1, random_state=0).fit_predict(vectors)
chosen = []
for cell in range(labels.max() + 1):
    rows = np.flatnonzero(labels == cell)
    similar = np.triu(vectors[rows] @ vectors[rows].T, k=1)
    chosen += rows[similar.max(axis=0) <= 0.8].tolist()
"""
SUBMODLIB = """
from submodlib import FacilityLocationFunction
start = time.process_time()
similar = np.maximum(vectors @ vectors.T, 0)
chosen = [row for row, _ in FacilityLocationFunction(n, "dense", sijs=similar, separate_rep=False).maximize(
    budget, optimizer="LazyGreedy", show_progress=False)]
"""
APRICOT = """
from apricot import FacilityLocationSelection
start = time.process_time()
similar = np.maximum(vectors @ vectors.T, 0).astype(np.float64)
chosen = FacilityLocationSelection(budget, metric="precomputed", optimizer="lazy").fit(similar).ranking
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
BESIDE = {
    "k_center": {"NumPy": K_CENTER},
    "quantization": {"NumPy": QUANTIZATION},
    "dpp": {"NumPy": DPP},
    "novelty": {"scikit-learn and NumPy": NOVELTY},
    "centroid_distance": {"NumPy": CENTROID_DISTANCE},
    "facility_location": {"submodlib": SUBMODLIB, "apricot": APRICOT},
    "similarity_filter": {"NumPy": SIMILARITY_FILTER},
    "cluster_top": {"pandas": CLUSTER_TOP},
    "ngram_coverage": {"scikit-learn and SciPy": NGRAM_COVERAGE},
    "complexity_first": {"Python": COMPLEXITY_FIRST},
    "information_gain": {"NumPy": INFORMATION_GAIN},
    "semantic_deduplication": {"scikit-learn and NumPy": SEMANTIC_DEDUPLICATION},
}
"""Code of the alternatives, by method and library."""
SQUARE = {QUANTIZATION, DPP, SUBMODLIB, APRICOT}
"""Alternatives with a matrix of all rows by all rows."""


def made_up(rows: int) -> np.ndarray:
    """Return unit vectors around random centres, one centre for each hundred vectors."""
    rng = np.random.default_rng(0)
    centres = rng.standard_normal((rows // 100, DIMENSIONS), dtype=np.float32)
    vectors = rng.standard_normal((rows, DIMENSIONS), dtype=np.float32)
    vectors += centres[rng.integers(len(centres), size=rows)]
    vectors /= np.linalg.norm(vectors, axis=1, keepdims=True)
    return vectors


def measured(code: str, vectors: Path, chosen: int, python: str = sys.executable) -> tuple[str, str]:
    """Return the seconds of one choice and the peak memory of its process, as text."""
    seconds = vectors.with_suffix(".seconds")
    # With several threads on a busy machine, waiting for each other would count as processor time.
    code = HEAD + code + WRITE
    _, peak = run([python, "-c", code, vectors, str(chosen), seconds], OPENBLAS_NUM_THREADS="1")
    return f"{float(seconds.read_text()):.1f}", f"{peak:,.0f}"


def refusal(name: str, rows: int, chosen: int) -> str:
    """Return why a method is left out with this number of rows; empty if it runs."""
    if name == "quantization_per_cell":
        return ""
    module, method = METHODS[name]
    made = getattr(importlib.import_module(f"mergeit_ops.core.selection.{module}"), method)
    return made(**OPTIONS.get(name, {})).refusal(rows, chosen)


def code_of(name: str) -> str:
    """Return the code that runs a method."""
    if name == "quantization_per_cell":
        return PER_CELL
    return OURS.format(method=METHODS[name], options=OPTIONS.get(name, {}), counted=name not in UNCOUNTED)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, nargs="+", default=[10_000, 100_000], help="number of rows to choose from")
    parser.add_argument("--chosen", type=int, default=1_000, help="number of rows to choose (default: 1,000)")
    parser.add_argument("--only", nargs="+", default=[*METHODS, "quantization_per_cell"], help="methods (default: all)")
    parser.add_argument("--alone", action="store_true", help="leave out the alternatives")
    parser.add_argument("--apricot", metavar="PYTHON", help="an interpreter that has apricot")
    options = parser.parse_args()
    lines = []
    with tempfile.TemporaryDirectory() as folder:
        path = Path(folder) / "vectors.npy"
        for rows in options.rows:
            np.save(path, made_up(rows))
            for name in options.only:
                runs = {"": code_of(name)} | ({} if options.alone else BESIDE.get(name, {}))
                if refusal(name, rows, options.chosen):
                    lines.append([name, "", f"{rows:,}", "refused", ""])
                    runs = {}
                for library, code in runs.items():
                    python = options.apricot if library == "apricot" else sys.executable
                    if python is None:
                        continue
                    fits = code not in SQUARE or rows <= MOST_SQUARE
                    found = measured(code, path, options.chosen, python) if fits else ("does not fit", "")
                    lines.append([name, library, f"{rows:,}", *found])
                    print(*lines[-1], file=sys.stderr, flush=True)
    print(table(["method", "with", "rows", "processor seconds", "MiB"], lines))


if __name__ == "__main__":
    main()
