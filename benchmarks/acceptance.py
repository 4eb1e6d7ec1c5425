"""Which pairs are worth their price: replays recorded merges in other orders, and without some pairs.

    python benchmarks/acceptance.py replay benchmarks/answered_pairs.jsonl [--pilot 20]
    python benchmarks/acceptance.py record rows.jsonl --model NAME --base-url http://localhost:8080/v1 --output a.jsonl
    python benchmarks/acceptance.py stand-in rows.jsonl --answers benchmarks/answered_pairs.jsonl --output b.jsonl
    python benchmarks/acceptance.py label alpaca.jsonl dolly.jsonl --output a.jsonl

`replay` prints the accepted merges for 1,000 tokens in the order of the file and with `min_acceptance`. It also prints
the accepted merges for half of the tokens, in the order of the file and with the best pairs first. The pairs that are
tried first are drawn 200 times. The figures are means over the draws, with the range of nine draws in ten, and include
the tokens of these pairs.

`record` pairs the most similar rows and sends each pair to the model alone. It writes one line for each pair: the
features for a prediction, the tokens of all requests, and whether the gate of the recipes accepts the merge.

`label` writes the same lines for the merges in `merge_labels.jsonl`. It finds their rows in the given files by hash. A
merge counts as accepted if language models judged that it kept both parents and added no demand. The tokens are
estimates for one request and its answer.

`stand-in` writes lines for many pairs of real rows without a model. Each merge is accepted at random, with the
probability from a logistic regression on labelled merges.

The lines contain no text of the rows.
"""

from __future__ import annotations

import argparse
import hashlib
import random
from collections import defaultdict
from dataclasses import replace
from pathlib import Path
from statistics import fmean, quantiles
from typing import Any

import jsonlines
from common import read_rows, table
from data_juicer.core.data import NestedDataset
from datasets import Dataset

from mergeit_ops.core.merging.acceptance import MIN_PILOT, AcceptanceModel, Prospect, best_first, group_features, pilot
from mergeit_ops.core.merging.conversations import CONVERSATIONS
from mergeit_ops.core.merging.pairing import find_groups
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.token_estimate import estimate_tokens
from mergeit_ops.dataset.merge_table import Merge, TopicMerges
from mergeit_ops.dataset.tables import TableList
from mergeit_ops.dataset.topics import iter_topics
from mergeit_ops.embedding import load_encoder
from mergeit_ops.jobs.merge_judge import Case, MergeJudge
from mergeit_ops.llm.usage import estimate_messages
from mergeit_ops.ops import LLMPairMergerMapper, QualityGateFilter, TopicClusterGrouper

LABELS = Path(__file__).with_name("merge_labels.jsonl")
DRAWS = 200
SEEN = (True, False)
THRESHOLDS = (0.3, 0.4, 0.5, 0.6, 0.7)
CHECKS = {"min_parent_kept": 0.5, "refuse_added_demands": True}


def record(options: argparse.Namespace) -> None:
    """Send pairs to a model, one after the other, and write the outcome of each."""
    rows = read_rows(options.rows, options.first)
    topics = TopicClusterGrouper(num_clusters=1).run(NestedDataset(Dataset.from_list(rows)))
    (topic,) = iter_topics(topics)
    merger = LLMPairMergerMapper(
        api_or_hf_model=options.model,
        model_params={"base_url": options.base_url},
        merge_strategy=options.strategy,
        prompt_style=options.style,
        max_answer_ratio=3,
        max_failure_ratio=1.0,
        max_concurrency=1,
        timeout_s=1200,
        cache_path=None,
        sampling_params={"temperature": 0.25, "max_tokens": 1000, "seed": 1},
        **CHECKS,
    )
    job = merger._job(merger.reader_of(topic.table.column_names), merger.similarity_threshold)
    layout, llm = job.reader.layout, job.llm
    judge = MergeJudge((QualityGateFilter().job(layout),))
    groups = job.groups(topic)
    groups = [groups[len(groups) * number // options.pairs] for number in range(min(options.pairs, len(groups)))]
    merges = TopicMerges(topic, [str(number) for number in range(len(rows))], job.reader.readings(topic.table), groups)
    work = job.begin(TableList())
    work.open(merges)
    with jsonlines.open(options.output, "a", flush=True) as lines:
        for number in work.mergeable_groups(merges):
            line = asked(merges, number, llm, judge, layout)
            lines.write({"model": options.name, "strategy": options.strategy, "style": options.style, **line})


def asked(topic: TopicMerges, number: int, llm: Any, judge: MergeJudge, layout: Any) -> dict[str, Any]:
    """Return the tokens and the outcome of a pair."""
    request, spent = llm.request(topic, number), llm.engine.total
    before = (spent.prompt_tokens, spent.cached_prompt_tokens, spent.completion_tokens, spent.calls)

    def settle(outcome: Any) -> None:
        topic.merges[number] = Merge(outcome.answers, None if outcome.error is None else str(outcome.error))

    llm.engine.run([request], settle, more_to_come=True)
    after = (spent.prompt_tokens, spent.cached_prompt_tokens, spent.completion_tokens, spent.calls)
    prompt, cached, completion, calls = (later - earlier for earlier, later in zip(before, after, strict=True))
    group = topic.groups[number]
    return {
        "members": group.members,
        "features": group_features(topic.samples(group), group.similarity),
        "estimate": estimate_messages(request.messages) + request.completion_tokens,
        "prompt_tokens": prompt,
        "cached_prompt_tokens": cached,
        "completion_tokens": completion,
        "calls": calls,
        "error": topic.merges[number].error,
        "accepted": judge.accepted([Case.of(topic, number, topic.merges[number], layout)])[0],
    }


def label(options: argparse.Namespace) -> None:
    """Write one line for each labelled merge."""
    rows = {digest(row): row for path in options.rows for row in read_rows(path)}
    encoder, conversation = load_encoder(), CONVERSATIONS["llm"]["worked"]
    with jsonlines.open(LABELS) as lines, jsonlines.open(options.output, "a") as found:
        for line in lines.iter(type=dict):
            if line["prompt"] != "final" or not all(name in rows for name in line["parents_sha256"]):
                continue
            known = [rows[name] for name in line["parents_sha256"]]
            parents = [Sample(row["instruction"], str(row.get("input") or ""), row["output"]) for row in known]
            first, second = encoder.encode([parent.query for parent in parents])
            sent = estimate_messages(conversation.messages(parents))
            answer = estimate_tokens(conversation.expected_answer(parents))
            found.write(
                {
                    "model": line["model"],
                    "strategy": "llm",
                    "style": "worked",
                    "members": [line["pair"]],
                    "features": group_features(parents, float(first @ second)),
                    "estimate": sent + answer,
                    "prompt_tokens": sent,
                    "completion_tokens": answer,
                    "accepted": not any(line["lost"]) and not line["added"],
                }
            )


def stand_in(options: argparse.Namespace) -> None:
    """Write pairs of real rows; a regression on labelled merges gives the probability that each is accepted."""
    with jsonlines.open(options.answers) as lines:
        known = [line for line in lines.iter(type=dict) if line["strategy"] == "llm"]
    model = AcceptanceModel.fit([line["features"] for line in known], [line["accepted"] for line in known])
    samples = [
        Sample(row["instruction"], str(row.get("input") or ""), row["output"]) for row in read_rows(options.rows)
    ]
    groups = find_groups(load_encoder().encode([sample.query for sample in samples]), 0.55)
    conversation, rng = CONVERSATIONS["llm"]["worked"], random.Random(42)
    with jsonlines.open(options.output, "w") as found:
        for group in sorted(groups, key=lambda group: group.members):
            parents = [samples[at] for at in group.members]
            features = group_features(parents, group.similarity)
            sent = estimate_messages(conversation.messages(parents))
            answer = estimate_tokens(conversation.expected_answer(parents))
            found.write(
                {
                    "model": "stand-in",
                    "strategy": "llm",
                    "style": "worked",
                    "features": features,
                    "estimate": sent + answer,
                    "prompt_tokens": sent,
                    "completion_tokens": answer,
                    "accepted": rng.random() < model.predict([features])[0],
                }
            )


def digest(row: dict[str, Any]) -> str:
    """Return the hash that identifies a row in the labels."""
    texts = (str(row.get(name) or "") for name in ("instruction", "input", "output"))
    return hashlib.sha256("\0".join(texts).encode()).hexdigest()


def replay(options: argparse.Namespace) -> None:
    """Print the accepted merges for each order and threshold."""
    sets: dict[str, list[dict[str, Any]]] = defaultdict(list)
    with jsonlines.open(options.answers) as lines:
        for line in lines.iter(type=dict):
            if line["accepted"] is not None:
                sets[f"{line['model']}, `{line['strategy']}`, {line['style']}"].append(line)
    for name, pairs in sets.items():
        tokens = {accepted: fmean(spent(pair) for pair in pairs if pair["accepted"] is accepted) for accepted in SEEN}
        print(
            f"\n{name}: {len(pairs)} pairs, {sum(pair['accepted'] for pair in pairs)} accepted, "
            f"{tokens[True]:,.0f} tokens for each of these and {tokens[False]:,.0f} for each of the others\n"
        )
        if len(pairs) < 2 * (options.pilot or MIN_PILOT):
            continue
        draws = [drawn(pairs, options.pilot, seed) for seed in range(DRAWS)]
        head = ["", "asked", "accepted", "accepted for 1,000 tokens", "against all, in order"]
        print(table(head, [[name, *shown(draws, name)] for name in draws[0]]))


def drawn(pairs: list[dict[str, Any]], size: int | None, seed: int) -> dict[str, list[float]]:
    """Return, for each strategy, the tried pairs, the accepted merges, and the accepted merges for 1,000 tokens."""
    rng = random.Random(seed)
    prospects = [Prospect(f"{rng.random():.9f}", "", tuple(pair["features"]), pair["estimate"]) for pair in pairs]
    # The merger's own number, or the given one. A small set can have fewer pairs than the merger's smallest trial.
    tried = pilot([replace(one, tokens=1) for one in prospects], max_tokens=None if size is None else 4 * size)
    model = AcceptanceModel.fit([prospects[at].features for at in tried], [pairs[at]["accepted"] for at in tried])
    likely = model.predict([one.features for one in prospects])
    every = list(range(len(pairs)))
    tokens = [spent(pair) for pair in pairs]
    half = sum(tokens) / 2
    order = [*tried, *(at for at in best_first(prospects, likely) if at not in tried)]
    ways = {"all, in order": every}
    ways |= {
        f"min_acceptance {least:g}": [at for at in every if at in tried or likely[at] >= least] for least in THRESHOLDS
    }
    ways |= {"half of the tokens, in order": bought(every, tokens, half)}
    ways |= {"half of the tokens, best first": bought(order, tokens, half)}
    found = {}
    for name, asked in ways.items():
        accepted = sum(pairs[at]["accepted"] for at in asked)
        rate = 1000 * accepted / sum(tokens[at] for at in asked)
        found[name] = [len(asked), accepted, rate]
    for figures in found.values():
        figures.append(figures[2] / found["all, in order"][2])
    return found


def spent(pair: dict[str, Any]) -> int:
    """Return the tokens of a pair."""
    return int(pair["prompt_tokens"] + pair["completion_tokens"])


def bought(order: list[int], tokens: list[int], budget: float) -> list[int]:
    """Return the first pairs that fit into a budget."""
    asked = []
    for at in order:
        budget -= tokens[at]
        if budget < 0:
            break
        asked.append(at)
    return asked


def shown(draws: list[dict[str, list[float]]], name: str) -> list[str]:
    """Return the means over the draws, and the range of nine draws in ten for the last figure."""
    asked, accepted, rate, ratio = zip(*(draw[name] for draw in draws), strict=True)
    cuts = quantiles(ratio, n=20)
    return [
        f"{fmean(asked):.1f}",
        f"{fmean(accepted):.1f}",
        f"{fmean(rate):.3f}",
        f"{fmean(ratio):.2f} ({cuts[0]:.2f} to {cuts[-1]:.2f})",
    ]


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    asking = commands.add_parser("record", help="have a model merge pairs")
    asking.set_defaults(run=record)
    asking.add_argument("rows", type=Path, help="JSON Lines: instruction, input, output")
    asking.add_argument("--model", required=True, help="name of the model on the server")
    asking.add_argument("--name", required=True, help="size of the model, for the record")
    asking.add_argument("--base-url", required=True)
    asking.add_argument("--strategy", default="instruction")
    asking.add_argument("--style", default="worked")
    asking.add_argument("--first", type=int, help="rows to read")
    asking.add_argument("--pairs", type=int, default=200)
    asking.add_argument("--output", type=Path, required=True)
    labels = commands.add_parser("label", help="use the merges of merge_labels.jsonl")
    labels.set_defaults(run=label)
    labels.add_argument("rows", type=Path, nargs="+", help="JSON Lines files with the parents")
    labels.add_argument("--output", type=Path, required=True)
    drawing = commands.add_parser("stand-in", help="draw the outcomes of many pairs")
    drawing.set_defaults(run=stand_in)
    drawing.add_argument("rows", type=Path, help="JSON Lines: instruction, input, output")
    drawing.add_argument("--answers", type=Path, required=True, help="written by label")
    drawing.add_argument("--output", type=Path, required=True)
    replaying = commands.add_parser("replay", help="replay the pairs in other orders")
    replaying.set_defaults(run=replay)
    replaying.add_argument("answers", type=Path, help="written by record or label")
    replaying.add_argument(
        "--pilot", type=int, help="number of pairs to try first, at least 10 (default: the merger's own number)"
    )
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
