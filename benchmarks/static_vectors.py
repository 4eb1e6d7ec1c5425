"""Static token vectors: the quality that a selection with them loses, and a run on a million rows.

    python benchmarks/static_vectors.py [--data rows.jsonl ...] [--most 55000] [--known vectors.npz]
    python benchmarks/static_vectors.py --rows 1000000 [--characters 20000] [--np 2]

The first command compares selections of 20 % of unseen rows, by topics and facility location. Token vectors are fitted
to a part of the rows, and the selection uses the others. Coverage is the cosine of a row to the nearest selected row
with the default model, as a mean over all rows. The share of the gain is (static - random) / (default - random). Rows
per second are those of one processor (OMP_NUM_THREADS=1). The vectors of the default model take most of the time, so
the file of --known keeps them.

The second command runs dj-process on synthetic rows. Each joins parts of two rows of the data, or several rows until
the text has --characters. The seconds of the grouper include the fit. Memory is that of the largest process.
"""

from __future__ import annotations

import argparse
import gzip
import hashlib
import json
import os
import tempfile
import time
from collections.abc import Iterator
from pathlib import Path

os.environ.setdefault("OMP_NUM_THREADS", "1")
os.environ.setdefault("TOKENIZERS_PARALLELISM", "false")

import numpy as np
import pyarrow as pa
import pyarrow.parquet as pq
from common import DATA, table
from numpy.typing import NDArray
from scaling import BLOCK_ROWS, ROW_GROUP_ROWS, print_run, run

from mergeit_ops.core.formats import resolve_format
from mergeit_ops.core.measures.diversity import pool_coverage
from mergeit_ops.core.selection.facility_location import select
from mergeit_ops.core.topics.clustering import default_num_clusters, fit_topics
from mergeit_ops.embedding import load_encoder
from mergeit_ops.embedding.sentence_encoder import SentenceEncoder
from mergeit_ops.embedding.static.distilling import MOST_TEXTS, distilled, few_enough
from mergeit_ops.embedding.static.encoder import StaticEncoder
from mergeit_ops.embedding.windows import embed_texts

SHARE = 0.2
FITTED = 2 / 3  # share of the rows, up to the maximum of a fit
DRAWS = range(5)
TEXTS_AT_ONCE = 1_024
STATIC = (
    {"topic_cluster_grouper": {"embedding_model": "static"}},
    {"facility_location_selector": {"select_ratio": SHARE}},
    {"topic_reverse_grouper": {}},
)


def texts_of(path: Path) -> list[str]:
    """Return the different texts of a JSON Lines file in the pseudo-random order of a hash."""
    open_text = gzip.open if path.suffix == ".gz" else open
    with open_text(path, "rt", encoding="utf-8") as lines:
        rows = [json.loads(line) for line in lines]
    layout = resolve_format("auto", list(rows[0]))
    texts = {layout.read(row).sample.query for row in rows}
    return sorted(texts - {""}, key=lambda text: hashlib.sha256(text.encode()).digest())


def known_vectors(texts: list[str], path: Path | None) -> tuple[NDArray[np.float32], float]:
    """Return the vectors of the default model, and the number of texts that it embeds per processor second."""
    stored = {}
    if path is not None and path.exists():
        with np.load(path) as arrays:
            stored = dict(zip(arrays["texts"].tolist(), arrays["vectors"], strict=True))
    new = [text for text in texts if text not in stored]
    encoder = load_encoder()
    start = time.process_time()
    for first in range(0, len(new), TEXTS_AT_ONCE):
        some = new[first : first + TEXTS_AT_ONCE]
        stored |= dict(zip(some, embed_texts(encoder, some, None, "mean").vectors, strict=True))
    rate = len(new) / (time.process_time() - start) if new else float("nan")
    if path is not None and new:
        np.savez(path, texts=np.array(list(stored)), vectors=np.stack(list(stored.values())))
    return np.stack([stored[text] for text in texts]), rate


def chosen(vectors: NDArray[np.float32]) -> NDArray[np.int64]:
    """Return the rows that topics and facility location select."""
    topics = fit_topics(vectors, default_num_clusters(len(vectors))).assign(vectors)
    found = []
    for topic in np.unique(topics):
        rows = np.flatnonzero(topics == topic)
        found.append(rows[select(vectors[rows], max(1, round(SHARE * len(rows)))).indices])
    return np.concatenate(found)


def compared(path: Path, most: int, known_file: Path | None) -> list[str]:
    """Return a line of the quality table."""
    texts = texts_of(path)[:most]
    known, rate = known_vectors(texts, known_file)
    split = min(MOST_TEXTS, round(FITTED * len(texts)))
    default = load_encoder()
    assert isinstance(default, SentenceEncoder)
    start = time.process_time()
    seen = few_enough(texts[:split])
    model = distilled(default, seen, None)
    fit_seconds = time.process_time() - start
    encoder = StaticEncoder(model)
    encoder.encode(texts[:TEXTS_AT_ONCE])  # loads libraries
    start = time.process_time()
    unseen, reference = texts[split:], known[split:]
    vectors = embed_texts(encoder, unseen, None, "mean").vectors
    static_rate = len(unseen) / (time.process_time() - start)
    best = chosen(reference)
    draws = [np.random.default_rng(seed).choice(len(unseen), len(best), replace=False) for seed in DRAWS]
    random = float(np.mean([pool_coverage(reference, reference[draw]) for draw in draws]))
    full, static = (pool_coverage(reference, reference[rows]) for rows in (best, chosen(vectors)))
    return [
        path.name,
        f"{len(seen):,} / {len(unseen):,}",
        f"{(vectors * reference).sum(axis=1).mean():.3f}",
        f"{random:.4f}",
        f"{full:.4f}",
        f"{static:.4f}",
        f"{(static - random) / (full - random):.0%}",
        f"{fit_seconds:.0f} s",
        f"{static_rate:,.0f}",
        f"{rate:,.0f}",
    ]


def made_up(texts: list[str], rows: int, characters: int | None) -> Iterator[pa.Table]:
    """Yield tables of rows that are all different."""
    rng = np.random.default_rng(rows)
    parts = [text.split() for text in texts]
    long = None if characters is None else max(1, round(characters / np.mean([len(text) + 1 for text in texts])))
    for first in range(0, rows, BLOCK_ROWS):
        made = []
        for number in range(first, min(rows, first + BLOCK_ROWS)):
            if long is None:
                one, other = (parts[row] for row in rng.integers(len(parts), size=2))
                made.append(" ".join([*one[: (len(one) + 1) // 2], *other[len(other) // 2 :], f"({number})"]))
            else:
                made.append(f"{number}. " + " ".join(texts[row] for row in rng.integers(len(texts), size=long)))
        yield pa.table({"instruction": made, "output": ["An answer."] * len(made)})


def write(path: Path, texts: list[str], rows: int, characters: int | None) -> None:
    """Write synthetic rows as parquet."""
    with pq.ParquetWriter(path, pa.schema({"instruction": pa.string(), "output": pa.string()})) as writer:
        for some in made_up(texts, rows, characters):
            size = ROW_GROUP_ROWS if characters is None else max(1, ROW_GROUP_ROWS * 1_000 // characters)
            writer.write_table(some, row_group_size=size)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, nargs="+", default=[DATA])
    parser.add_argument("--most", type=int, default=60_000, help="maximum number of texts from a file")
    parser.add_argument("--known", type=Path, help="file that keeps the vectors of the default model for later runs")
    parser.add_argument(
        "--rows", type=int, nargs="*", default=[], help="run dj-process on this number of synthetic rows"
    )
    parser.add_argument(
        "--characters", type=int, help="characters of a synthetic row (default: like the rows of the data)"
    )
    parser.add_argument("--np", type=int, default=2, help="processes of Data-Juicer's own steps")
    options = parser.parse_args()
    if options.rows:
        os.environ["TOKENIZERS_PARALLELISM"] = "true"
        os.environ.pop("OMP_NUM_THREADS")
        for rows in options.rows:
            with tempfile.TemporaryDirectory() as folder:
                data = Path(folder) / "rows.parquet"
                write(data, texts_of(options.data[0]), rows, options.characters)
                size = data.stat().st_size
                one = run(data, Path(folder), rows, STATIC, options.np)
            print_run(one)
            print(f"\n{rows / one.cpu_seconds:,.0f} rows a second of one processor; {size / 1e6:,.0f} MB of parquet")
        return
    head = ["rows", "fitted / unseen", "cosine", "random", "default", "static", "share of the gain", "fit"]
    lines = [compared(path, options.most, options.known) for path in options.data]
    print(table([*head, "static rows / s", "default rows / s"], lines))


if __name__ == "__main__":
    main()
