"""The cost of the distilled scorer compared with the embedding that it uses.

    python benchmarks/distilled_scorer.py [--rows my.jsonl] [--count 400]

Prints the CPU seconds of each part for the same rows, and their ratio.
"""

from __future__ import annotations

import argparse
import time
from itertools import islice
from pathlib import Path

import jsonlines

from mergeit_ops.core.sample import Sample
from mergeit_ops.embedding import load_encoder
from mergeit_ops.scorers.distilled import SHIPPED_WEIGHTS, WEIGHTS_FILE, load_model, row_features

SAMPLE = Path(__file__).resolve().parents[1] / "recipes" / "data" / "sample_instructions.jsonl"


class TimedEncoder:
    """The encoder, which counts its seconds."""

    def __init__(self) -> None:
        self.encoder = load_encoder()
        self.seconds = 0.0

    def encode(self, texts, batch_size=32):
        """Embed texts and count the seconds."""
        started = time.process_time()
        vectors = self.encoder.encode(texts, batch_size=batch_size)
        self.seconds += time.process_time() - started
        return vectors


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=Path, default=SAMPLE, help="JSON Lines: instruction, input, output")
    parser.add_argument("--count", type=int, default=400, help="rows to score (default: 400)")
    arguments = parser.parse_args()
    with jsonlines.open(arguments.rows) as lines:
        rows = [row for row in lines.iter(type=dict) if str(row["output"]).strip()]
    samples = [
        Sample(str(row["instruction"]), str(row.get("input") or ""), str(row["output"]))
        for row in islice(rows, arguments.count)
    ]
    encoder, model = TimedEncoder(), load_model(SHIPPED_WEIGHTS)
    row_features(samples[:32], encoder)  # warms the model up
    encoder.seconds = 0.0
    started = time.process_time()
    features = row_features(samples, encoder)
    counting = time.process_time() - started - encoder.seconds
    started = time.process_time()
    model.predict(features)
    predicting = time.process_time() - started
    started = time.process_time()
    encoder.encoder.encode([sample.query for sample in samples] + [sample.output for sample in samples])
    whole = time.process_time() - started
    beyond = counting + predicting
    print(f"{len(samples)} rows, weights of {(SHIPPED_WEIGHTS / WEIGHTS_FILE).stat().st_size:,} bytes\n")
    print("| part | CPU seconds | share of the embedding |\n|---|---|---|")
    print(f"| embedding: questions, answers and their sentences | {encoder.seconds:.2f} | 100% |")
    print(f"| of these, questions and whole answers alone | {whole:.2f} | {whole / encoder.seconds:.0%} |")
    print(f"| counting features | {counting:.2f} | {counting / encoder.seconds:.1%} |")
    print(f"| regression and trees | {predicting:.2f} | {predicting / encoder.seconds:.1%} |")
    print(
        f"\nbeyond the embedding: {len(samples) / beyond:,.0f} rows a CPU second, ratio {beyond / encoder.seconds:.3f}"
    )


if __name__ == "__main__":
    main()
