"""Which pairs are worth their price: a model's answers, recorded once, and replayed in any order.

    python benchmarks/acceptance.py record rows.jsonl --model NAME --base-url http://localhost:8080/v1 --output a.jsonl

Record: pairs the most similar rows, has the model merge each pair alone, and writes one line for each: what a
prediction may look at, the tokens that the pair took with all further questions, and whether the gate of the recipes
accepts the merge. The lines hold no text of the rows.
"""

from __future__ import annotations

import argparse
from pathlib import Path
from typing import Any

import jsonlines
from common import read_rows
from data_juicer.core.data import NestedDataset
from datasets import Dataset

from mergeit_ops.core.merging.acceptance import group_features
from mergeit_ops.dataset.merge_table import Merge, TopicMerges
from mergeit_ops.dataset.tables import TableList
from mergeit_ops.dataset.topics import iter_topics
from mergeit_ops.jobs.merge_judge import MergeJudge
from mergeit_ops.llm.usage import estimate_messages
from mergeit_ops.ops import LLMPairMergerMapper, QualityGateFilter, TopicClusterGrouper

CHECKS = {"min_parent_kept": 0.5, "refuse_added_demands": True}


def record(options: argparse.Namespace) -> None:
    """Ask a model about pairs, one after the other, and write what became of each."""
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
    """Return what a pair costs, and what becomes of it."""
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
        "accepted": judge.accepted([(topic, number)], layout)[0],
    }


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    commands = parser.add_subparsers(required=True)
    asking = commands.add_parser("record", help="have a model merge pairs")
    asking.set_defaults(run=record)
    asking.add_argument("rows", type=Path, help="JSON Lines: instruction, input, output")
    asking.add_argument("--model", required=True, help="as the server knows it")
    asking.add_argument("--name", required=True, help="of the model, for the record")
    asking.add_argument("--base-url", required=True)
    asking.add_argument("--strategy", default="instruction")
    asking.add_argument("--style", default="worked")
    asking.add_argument("--first", type=int, help="rows to read")
    asking.add_argument("--pairs", type=int, default=200)
    asking.add_argument("--output", type=Path, required=True)
    options = parser.parse_args()
    options.run(options)


if __name__ == "__main__":
    main()
