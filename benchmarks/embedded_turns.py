"""The effect of `embedding_text` on the topics of conversations.

    python benchmarks/embedded_turns.py [--model NAME]

Each synthetic conversation has two questions with their answers, from two different sources of the sample. For each
setting, K-means finds as many topics as there are sources. The adjusted Rand index shows whether the topics agree with
the sources of the first question or of the last one. The figures are medians over ten seeds.
"""

from __future__ import annotations

import argparse
import os

os.environ.setdefault("OMP_NUM_THREADS", "1")

import numpy as np
from common import SAMPLE, query, read_rows, table

from mergeit_ops.core.embedded_text import EMBEDDED_TEXTS, embedded_text
from mergeit_ops.core.sample import Round, Sample
from mergeit_ops.embedding import DEFAULT_EMBEDDING_MODEL, load_encoder
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_WINDOW
from mergeit_ops.embedding.windows import embed_texts

SEEDS = range(10)


def conversations() -> tuple[list[Sample], list[str], list[str]]:
    """Return conversations, and the sources of their first and last questions."""
    rows = read_rows(SAMPLE)
    draw = np.random.default_rng(0)
    made, first, last = [], [], []
    for row in rows:
        others = [other for other in rows if other["source"] != row["source"]]
        parts = (row, others[int(draw.integers(len(others)))])
        rounds = tuple(Round(query(part), part["output"]) for part in parts)
        questions = "\n".join(part.question for part in rounds)
        made.append(Sample(questions, "", "\n".join(part.answer for part in rounds), rounds=rounds))
        first.append(parts[0]["source"])
        last.append(parts[1]["source"])
    return made, first, last


def main() -> None:
    from sklearn.cluster import KMeans
    from sklearn.metrics import adjusted_rand_score

    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--model", default=DEFAULT_EMBEDDING_MODEL, help="name or folder")
    options = parser.parse_args()
    samples, first, last = conversations()
    single = [Sample(part.rounds[0].question, "", part.rounds[0].answer) for part in samples]
    rows = []
    for name, some in (("two questions", samples), ("one question", single)):
        for choice in EMBEDDED_TEXTS:
            texts = [embedded_text(sample, choice) for sample in some]
            vectors, longer = embed_texts(load_encoder(options.model), texts, None, DEFAULT_EMBEDDING_WINDOW)
            found = [
                KMeans(len(set(first)), n_init=3, random_state=seed).fit_predict(vectors.astype(np.float64))
                for seed in SEEDS
            ]
            agreement = [
                f"{np.median([adjusted_rand_score(truth, labels) for labels in found]):.2f}" for truth in (first, last)
            ]
            rows.append([name, choice, str(longer), agreement[0], agreement[1] if some is samples else "-"])
    print(f"{len(samples)} conversations, {len(set(first))} sources, {options.model}\n")
    head = (
        "conversations of",
        "embedding_text",
        "longer than the window",
        "topics of the first question",
        "of the last",
    )
    print(table(head, rows))


if __name__ == "__main__":
    main()
