"""Write the scales of the packaged embedding models. The merger uses them to translate its threshold.

    python -m scripts.embedding_scales rows.jsonl [--texts 3000] [--output mergeit_ops/embedding/scales]

The file has columns instruction and input. The script uses the texts with the lowest SHA-256, so their order does not
matter. It stores only shares of pairs and cosines.
"""

from __future__ import annotations

import argparse
import hashlib
from pathlib import Path

import jsonlines

from mergeit_ops.core.merging.equal_strictness import EqualStrictness
from mergeit_ops.core.sample import Sample
from mergeit_ops.embedding import load_encoder
from mergeit_ops.embedding.packaged import PACKAGED_MODELS
from mergeit_ops.embedding.similarity_scales import store_scale

FOLDER = Path(__file__).resolve().parents[1] / "mergeit_ops" / "embedding" / "scales"
THRESHOLD = 0.55  # the merger's default


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="JSON Lines")
    parser.add_argument("--texts", type=int, default=3_000, help="number of different texts (default: 3,000)")
    parser.add_argument("--output", type=Path, default=FOLDER, help="folder to write to (default: that of the package)")
    options = parser.parse_args()
    with jsonlines.open(options.rows) as lines:
        found = {Sample(row["instruction"], row.get("input") or "", "").query for row in lines}
    texts = sorted(found, key=lambda text: hashlib.sha256(text.encode()).digest())[: options.texts]
    known = load_encoder().encode(texts)
    for model in PACKAGED_MODELS:
        scale = EqualStrictness.of(known, load_encoder(model).encode(texts))
        store_scale(options.output, model, scale)
        value, share, agreement = scale.at(THRESHOLD)
        print(
            f"{model}: {value:.4f} is as strict as {THRESHOLD} ({share:.3%} of pairs above, agreement {agreement:.2f})"
        )


if __name__ == "__main__":
    main()
