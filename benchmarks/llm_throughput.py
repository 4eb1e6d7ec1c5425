"""Merges per second of the LLM stage, beside a serial loop and Data-Juicer's own LLM mapper, on the same server.

    python benchmarks/llm_throughput.py [--data rows.jsonl] [--pairs 2000] [--latency 0.5] [--concurrency 64]

A loopback server in a process of its own answers each request after the latency, as a model would that takes that long
for a merge; client and server share the processors. Ideal is what whole waves of `--concurrency` requests take. The
slow sides are measured on fewer pairs, as many as the table says.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import subprocess
import sys
import time
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import numpy as np
from data_juicer.core.data import NestedDataset
from datasets import Dataset
from loguru import logger

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, META
from mergeit_ops.core.prompts import DEFAULT_SYSTEM_PROMPT, build_messages, records_text
from mergeit_ops.core.replies import parse_reply
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.vectors import encode_vectors

REPOSITORY = Path(__file__).resolve().parents[1]
SAMPLE = REPOSITORY / "recipes" / "data" / "sample_instructions.jsonl"
SERIAL_PAIRS = 16


@contextmanager
def server(latency_s: float) -> Iterator[str]:
    """Run the loopback server as its own process; give its base URL."""
    command = [sys.executable, str(REPOSITORY / "tests" / "llm_server.py"), "--port", "0", "--latency", str(latency_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip().partition("=")[2]
    finally:
        process.terminate()
        process.wait()


def read_pairs(path: Path, count: int) -> list[tuple[Sample, Sample]]:
    """Take pairs of neighbouring rows, from the beginning again where the file is too short."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    samples = [
        Sample(row["instruction"], row.get("input") or "", row["output"]) for row in rows if row["output"].strip()
    ]
    # A number in each keeps rows that come twice from being one question, which would be asked once.
    numbered = [
        replace(sample, instruction=f"{sample.instruction} ({number})")
        for number, sample in enumerate(islice(cycle(samples), 2 * count))
    ]
    return list(zip(numbered[::2], numbered[1::2], strict=True))


def topics_of(pairs: list[tuple[Sample, Sample]], topics: int) -> NestedDataset:
    """Return the pairs as topics; each pair has a direction of its own, so exactly these pairs are found."""
    directions = np.random.default_rng(0).normal(size=(len(pairs), 384)).astype(np.float32)
    texts = encode_vectors(directions / np.linalg.norm(directions, axis=1, keepdims=True))
    size = len(pairs) // topics
    rows = []
    for topic in range(topics):
        part = range(topic * size, (topic + 1) * size)
        samples = [sample for number in part for sample in pairs[number]]
        rows.append(
            {
                "instruction": [sample.instruction for sample in samples],
                "input": [sample.input for sample in samples],
                "output": [sample.output for sample in samples],
                EMBEDDING: [texts[number] for number in part for _ in range(2)],
                BATCH_META: {"topic_id": topic, "batch_size": 2 * size},
            }
        )
    return NestedDataset(Dataset.from_list(rows))


def our_seconds(topics: NestedDataset, url: str, concurrency: int) -> tuple[float, int]:
    """Return the seconds that `llm_pair_merger_mapper` takes, and the merges it makes."""
    from mergeit_ops.ops import LLMPairMergerMapper

    operator = LLMPairMergerMapper("fake", model_params={"base_url": url}, cache_path=None, max_concurrency=concurrency)
    start = time.perf_counter()
    flat = operator.run(topics)
    return time.perf_counter() - start, sum(meta["merge_status"] == "merged" for meta in flat[META])


def serial_seconds(pairs: list[tuple[Sample, Sample]], url: str) -> tuple[float, int]:
    """Return the seconds of a plain loop over the openai client, one request after the other."""
    from openai import OpenAI

    client = OpenAI(api_key="none", base_url=url)
    start = time.perf_counter()
    merges = 0
    for parents in pairs:
        answer = client.chat.completions.create(model="fake", messages=list(build_messages(parents)), temperature=0.25)
        merges += bool(parse_reply(answer.choices[0].message.content, parents).output)
    return time.perf_counter() - start, merges


def data_juicer_seconds(pairs: list[tuple[Sample, Sample]], url: str, np: int) -> tuple[float, int]:
    """Return the seconds that Data-Juicer's `optimize_qa_mapper` takes to have the same rows rewritten."""
    from data_juicer.ops.mapper.optimize_qa_mapper import OptimizeQAMapper

    os.environ.setdefault("OPENAI_API_KEY", "none")
    operator = OptimizeQAMapper(
        api_or_hf_model="fake",
        is_hf_model=False,
        model_params={"base_url": url},
        sampling_params={"temperature": 0.25},
        system_prompt=DEFAULT_SYSTEM_PROMPT,
        input_template="<records>\n[\n{}\n]\n</records>",
        qa_pair_template="{}{}",
        output_pattern=r'.*?"instruction": "(.*?)", "input": .*"output": "(.*)"',
        num_proc=np,
        auto_op_parallelism=False,
    )
    rows = [{"query": records_text(parents), "response": ""} for parents in pairs]
    start = time.perf_counter()
    rewritten = operator.run(NestedDataset(Dataset.from_list(rows)))
    seconds = time.perf_counter() - start
    return seconds, sum(bool(answer) for answer in rewritten["response"])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SAMPLE, help="JSON Lines with instruction, input and output")
    parser.add_argument("--pairs", type=int, default=2000)
    parser.add_argument("--latency", type=float, nargs="+", default=[0.5, 1.0], help="seconds of an answer")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--np", type=int, nargs="+", default=[2, 16], help="processes of Data-Juicer's mapper")
    options = parser.parse_args()
    logger.remove()
    for library in ("httpx", "httpx2"):
        logging.getLogger(library).setLevel(logging.WARNING)
    pairs = read_pairs(options.data, options.pairs)
    for latency in options.latency:
        ideal = math.ceil(options.pairs / options.concurrency) * latency / options.pairs
        with server(latency) as url:
            # Loading the libraries is part of starting Data-Juicer, not of a merge: every side finds them loaded.
            our_seconds(topics_of(pairs[:2], 1), url, options.concurrency)
            serial = serial_seconds(pairs[:SERIAL_PAIRS], url)
            sides = [("one request after the other", *serial, SERIAL_PAIRS)]
            for np_ in options.np:
                few = SERIAL_PAIRS * np_
                seconds, merges = data_juicer_seconds(pairs[:few], url, np_)
                sides.append((f"Data-Juicer's optimize_qa_mapper, np {np_}", seconds, merges, few))
            for topics in (1, 20, options.pairs):
                seconds, merges = our_seconds(topics_of(pairs, topics), url, options.concurrency)
                size = f"{topics} topics of {options.pairs // topics}" if topics > 1 else "one topic"
                sides.append((f"llm_pair_merger_mapper, {size}", seconds, merges, options.pairs))
        print(f"\n{options.pairs} pairs, {latency:g} s an answer, {options.concurrency} in flight\n")
        print("| | pairs | seconds | s per 1,000 merges | times the serial loop | of the ideal rate |")
        print("|---|---|---|---|---|---|")
        for name, seconds, merges, asked in sides:
            assert merges == asked, f"{name}: {merges} of {asked} pairs came back"
            each, serial_each = seconds / asked, serial[0] / SERIAL_PAIRS
            print(
                f"| {name} | {asked} | {seconds:.1f} | {1000 * each:.1f} | {serial_each / each:.1f} | "
                f"{ideal / each:.1%} |",
                flush=True,
            )


if __name__ == "__main__":
    main()
