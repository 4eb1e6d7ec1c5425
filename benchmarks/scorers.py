"""Rows per second of the quality gate's scorers.

    python benchmarks/scorers.py [--data rows.jsonl] [--rows 1000] [--latency 0.5]

Scorers with a server use a loopback server that answers after the latency, with 64 requests at a time and empty
journals. `cascade` costs as much as its cheap scorer, plus its judge for close decisions. `deita` needs a 7B model;
`benchmarks/deita_scorer.py` shows the gain of batching on a small one.
"""

from __future__ import annotations

import argparse
from pathlib import Path

from common import DATA, read_rows, table, timed
from llm_throughput import server
from loguru import logger

from mergeit_ops.core.sample import Sample
from mergeit_ops.scorers import build_scorer


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="JSON Lines with instruction, input and output")
    parser.add_argument("--rows", type=int, default=1_000)
    parser.add_argument("--latency", type=float, default=0.5, help="seconds for each answer")
    options = parser.parse_args()
    logger.remove()
    samples = [
        Sample(str(row["instruction"]), str(row.get("input") or ""), str(row["output"]))
        for row in read_rows(options.data, options.rows)
    ]
    lines = []
    with server(options.latency) as (url, _):
        asking = {"model_params": {"base_url": url}, "cache_path": None}
        sides = {
            "distilled": build_scorer("distilled", None),
            "distilled, embedding_dtype float32": build_scorer("distilled", {"embedding_dtype": "float32"}),
            "deita_api": build_scorer("deita_api", asking),
            "llm_judge": build_scorer("llm_judge", asking),
        }
        for name, scorer in sides.items():
            scorer.score(samples[:64])  # loads libraries and models
            seconds, scores = timed(lambda scorer=scorer: scorer.score(samples))
            missing = sum(score.value is None for score in scores)
            lines.append([name, f"{seconds:.1f}", f"{len(samples) / seconds:,.0f}", str(missing)])
    print(f"{len(samples):,} rows; an answer of the server takes {options.latency:g} s, 64 in flight\n")
    print(table(("scorer", "seconds", "rows/s", "without a score"), lines))


if __name__ == "__main__":
    main()
