"""Cost and quality of the merge strategies, with one model on the same pairs.

    python benchmarks/merge_strategies.py rows.jsonl --model NAME --base-url http://localhost:8080/v1 [--pairs 100]

Groups the rows into one topic, merges its most similar pairs with each strategy, and lets the gate of the recipes
decide. Prints for each strategy the number of merges and of those that pass, the share of its parents that a merge
keeps, the ratio of its quality to that of its parents, and tokens and seconds for each merge that passes. Strategies
with checks continue from the answers of those without checks, like a second run of a recipe. Their tokens and seconds
include those of the first run.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections import Counter
from pathlib import Path
from statistics import fmean
from typing import Any

from common import read_rows
from data_juicer.core.data import NestedDataset
from datasets import Dataset

from mergeit_ops.core.columns import META, STATS
from mergeit_ops.ops import LLMPairMergerMapper, QualityGateFilter, TopicClusterGrouper

CHECKS = {"min_parent_kept": 0.5, "refuse_added_demands": True}
SHORT = {"prompt_style": "short"}
STRATEGIES: dict[str, tuple[str, dict[str, Any]]] = {
    "concat": ("concat", {}),
    "instruction": ("instruction", {}),
    "instruction, checked": ("instruction", CHECKS),
    "llm": ("llm", {}),
    "llm, checked": ("llm", CHECKS),
    "instruction, short prompt": ("instruction", SHORT),
    "instruction, short prompt, checked": ("instruction", SHORT | CHECKS),
    "llm, short prompt": ("llm", SHORT),
    "llm, short prompt, checked": ("llm", SHORT | CHECKS),
}


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("rows", type=Path, help="JSON Lines: instruction, input, output")
    parser.add_argument("--model", required=True, help="name of the model on the server")
    parser.add_argument("--base-url", required=True)
    parser.add_argument("--pairs", type=int, default=100)
    parser.add_argument("--concurrency", type=int, default=2, help="number of slots of the server")
    parser.add_argument("--only", nargs="*", default=list(STRATEGIES), help="rows of the table")
    options = parser.parse_args()
    rows = read_rows(options.rows)
    topics = TopicClusterGrouper(num_clusters=1).run(NestedDataset(Dataset.from_list(rows)))
    server = {
        "api_or_hf_model": options.model,
        "model_params": {"base_url": options.base_url},
        "max_concurrency": options.concurrency,
        "timeout_s": 1200,
        "sampling_params": {"temperature": 0.25, "max_tokens": 1000, "seed": 1},
    }
    print(
        "| strategy | pairs | merges | why not | pass the gate | kept of a parent (mean, lowest tenth) | quality ratio "
        "| prompt + answer tokens per passing merge | seconds |"
    )
    print("|---" * 9 + "|", flush=True)
    spent: Counter[str] = Counter()
    with tempfile.TemporaryDirectory() as folder:
        for name in options.only:
            strategy, settings = STRATEGIES[name]
            if "min_parent_kept" not in settings:
                spent.clear()
            asking = {} if strategy == "concat" else server | {"cache_path": f"{folder}/{strategy}.db"}
            merger = LLMPairMergerMapper(
                merge_strategy=strategy, merge_ratio=2 * options.pairs / len(rows), **asking, **settings
            )
            start = time.perf_counter()
            merged = merger.run(topics)
            spent["seconds"] += time.perf_counter() - start
            if merger._engine is not None:
                spent["prompt"] += merger._engine.total.prompt_tokens
                spent["answer"] += merger._engine.total.completion_tokens
            print(row(name, merged, QualityGateFilter().run(merged), spent), flush=True)


def row(name: str, merged: Dataset, gated: Dataset, spent: Counter[str]) -> str:
    groups = {meta["merge_group_id"] for meta in merged[META] if meta["merge_group_id"]}
    failed = Counter(meta["merge_error"] for meta in merged[META] if meta["merge_error"])
    made = [stats for meta, stats in zip(gated[META], gated[STATS], strict=True) if meta["merge_status"] == "merged"]
    kept = sorted(stats["merge_parent_coverage"] for stats in made)
    passing = len(made)
    why = ", ".join(f"{reason} {count // 2}" for reason, count in failed.items()) or "none"
    tokens = f"{spent['prompt'] / passing:,.0f} + {spent['answer'] / passing:,.0f}" if passing else "none"
    merges = sum(meta["merge_status"] == "merged" for meta in merged[META])
    return (
        f"| {name} | {len(groups)} | {merges} | {why} | {passing} | {fmean(kept):.2f}, {kept[passing // 10]:.2f} | "
        f"{fmean(stats['merge_quality_ratio'] for stats in made):.2f} | {tokens} | {spent['seconds'] / passing:.1f} |"
    )


if __name__ == "__main__":
    main()
