"""Merges per second of the LLM stage, a serial loop, Data-Juicer's LLM mapper and distilabel, on one server.

    python benchmarks/llm_throughput.py [--data rows.jsonl] [--pairs 2000] [--latency 0.5] [--concurrency 64]
    python benchmarks/llm_throughput.py --ours-only --pairs 1000 2000 --repeats 3
    python benchmarks/llm_throughput.py --ours-only --latency 0 --concurrency 256 --layers
    python benchmarks/llm_throughput.py --ours-only --latency 0.5 --concurrency 512

A loopback server in its own process answers each request after the latency, like a model that takes this long for a
merge. Client and server share the processors. The ideal time is the latency times the number of waves of
`--concurrency` requests. Compare runs at 1,000 and 2,000 pairs: the fixed cost of a run matters more at the smaller
size. The slow sides are measured on fewer pairs; the table gives their number. distilabel needs other library versions
than Data-Juicer, so it runs with the given Python, including the start of its pipeline, or is left out.

Next to each share of the ideal, the table has the processor time of a call: of the whole process, of its thread that
calls the server, and of the server. Other work on the machine changes these figures less. Without latency there is no
ideal; then compare the requests per second, and use `--layers` to see which code takes the processor time of the
client. A few pairs have two languages, and are not merged.
"""

from __future__ import annotations

import argparse
import json
import logging
import math
import os
import statistics
import subprocess
import sys
import tempfile
import time
from collections import Counter
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import replace
from itertools import cycle, islice
from pathlib import Path

import jsonlines
import numpy as np
import psutil
from common import DATA, REPOSITORY
from data_juicer.core.data import NestedDataset
from datasets import Dataset
from layers import LAYERS, processor_time_by_layer
from loguru import logger

from mergeit_ops.core.columns import BATCH_META, EMBEDDING, META
from mergeit_ops.core.merging.prompts import DEFAULT_SYSTEM_PROMPT, build_messages, records_text
from mergeit_ops.core.merging.replies import parse_reply
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.vectors import encode_vectors

SERIAL_PAIRS = 16
_MERGED = 0.99
_ALL = "in all"


@contextmanager
def server(latency_s: float) -> Iterator[tuple[str, psutil.Process]]:
    """Run the loopback server in its own process, and yield its base URL and the process."""
    command = [sys.executable, str(REPOSITORY / "tests" / "llm_server.py"), "--port", "0", "--latency", str(latency_s)]
    process = subprocess.Popen(command, stdout=subprocess.PIPE, text=True)
    assert process.stdout is not None
    try:
        yield process.stdout.readline().strip().partition("=")[2], psutil.Process(process.pid)
    finally:
        process.terminate()
        process.wait()


def read_pairs(path: Path, count: int) -> list[tuple[Sample, Sample]]:
    """Return pairs of neighbouring rows. If the file is too short, start again from its beginning."""
    rows = [json.loads(line) for line in path.read_text(encoding="utf-8").splitlines()]
    samples = [
        Sample(row["instruction"], row.get("input") or "", row["output"]) for row in rows if row["output"].strip()
    ]
    # The number makes repeated rows different. Equal requests would be sent only once.
    numbered = [
        replace(sample, instruction=f"{sample.instruction} ({number})")
        for number, sample in enumerate(islice(cycle(samples), 2 * count))
    ]
    return list(zip(numbered[::2], numbered[1::2], strict=True))


def topics_of(pairs: list[tuple[Sample, Sample]], topics: int) -> NestedDataset:
    """Return the pairs as topics. Each pair has its own direction, so the merger finds exactly these pairs."""
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
    """Return the seconds of `llm_pair_merger_mapper`, and the number of its merges."""
    from mergeit_ops.ops import LLMPairMergerMapper

    operator = LLMPairMergerMapper(
        api_or_hf_model="fake", model_params={"base_url": url}, cache_path=None, max_concurrency=concurrency
    )
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
    """Return the seconds of Data-Juicer's `optimize_qa_mapper` for rewriting the same rows."""
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


def distilabel_seconds(
    pairs: list[tuple[Sample, Sample]], url: str, concurrency: int, python: str
) -> tuple[float, int]:
    """Return the seconds of a distilabel pipeline for the same merges, and the number of its merges.

    Its text generation takes only a system prompt and one turn, so the prompt has no worked examples.
    """
    with tempfile.TemporaryDirectory() as folder:
        requests = Path(folder, "requests.jsonl")
        with jsonlines.open(requests, "w") as lines:
            for parents in pairs:
                lines.write({"system_prompt": DEFAULT_SYSTEM_PROMPT, "instruction": records_text(parents)})
        command = [python, str(REPOSITORY / "benchmarks" / "distilabel_side.py"), str(requests), url, str(concurrency)]
        done = subprocess.run(command, capture_output=True, text=True, check=False)
    if done.returncode:
        raise SystemExit(f"distilabel failed:\n{done.stderr[-2000:]}")
    told = json.loads(done.stdout.strip().splitlines()[-1])
    return told["seconds"], told["answered"]


def processor_seconds(process: psutil.Process) -> float:
    """Return the processor time of a process so far."""
    times = process.cpu_times()
    return times.user + times.system


def shape(topics: int, pairs: int) -> str:
    """Return the name of a shape, a division of pairs into topics."""
    return "one topic" if topics == 1 else f"{topics} topics of {pairs // topics}"


def measure_ours(
    pairs: list[tuple[Sample, Sample]], latency: float, concurrency: int, repeats: int, url: str, other: psutil.Process
) -> dict[int, list[float]]:
    """Run the merger in all shapes, print a row for each run, and return the seconds of each shape."""
    ideal = math.ceil(len(pairs) / concurrency) * latency
    print(f"\n{len(pairs)} pairs, {latency:g} s an answer, {concurrency} in flight\n")
    print("| topics | seconds | requests a second | of the ideal rate | ms of processor a call | event loop | server |")
    print("|---|---|---|---|---|---|---|")
    shapes = (1, 20, len(pairs))
    taken: dict[int, list[float]] = {topics: [] for topics in shapes}
    for _ in range(repeats):
        for topics in shapes:
            rows = topics_of(pairs, topics)
            before, before_loop, before_other = time.process_time(), time.thread_time(), processor_seconds(other)
            seconds, merges = our_seconds(rows, url, concurrency)
            used, used_other = time.process_time() - before, processor_seconds(other) - before_other
            in_loop = time.thread_time() - before_loop
            assert merges >= _MERGED * len(pairs), f"{merges} of {len(pairs)} pairs came back"
            taken[topics].append(seconds)
            share = f"{ideal / seconds:.1%}" if latency else "-"
            print(
                f"| {shape(topics, len(pairs))} | {seconds:.2f} | {merges / seconds:.0f} | {share} | "
                f"{1000 * used / merges:.2f} | {1000 * in_loop / merges:.2f} | {1000 * used_other / merges:.2f} |",
                flush=True,
            )
    if repeats > 1 and latency:
        print("\n| topics | of the ideal rate: median | lowest | highest |\n|---|---|---|---|")
        for topics, all_seconds in taken.items():
            median, low, high = statistics.median(all_seconds), max(all_seconds), min(all_seconds)
            print(
                f"| {shape(topics, len(pairs))} | {ideal / median:.1%} | {ideal / low:.1%} | {ideal / high:.1%} |",
                flush=True,
            )
    return taken


def show_layers(pairs: list[tuple[Sample, Sample]], concurrency: int, url: str) -> None:
    """Run the merger in two shapes, and print where the processor time of a call goes, in milliseconds."""
    found: dict[str, Counter[str]] = {}
    for topics in (1, len(pairs)):
        rows = topics_of(pairs, topics)
        with processor_time_by_layer() as seconds:
            our_seconds(rows, url, concurrency)
        found[shape(topics, len(pairs))] = seconds
    print(f"\n| ms of processor a call | {' | '.join(found)} |\n|---|{'---|' * len(found)}")
    for layer in [*LAYERS, _ALL]:
        times = [
            1000 * (seconds.total() if layer == _ALL else seconds[layer]) / len(pairs) for seconds in found.values()
        ]
        print(f"| {layer} | {' | '.join(f'{time:.3f}' for time in times)} |", flush=True)


def measure_slow_sides(
    pairs: list[tuple[Sample, Sample]],
    taken: dict[int, list[float]],
    nps: list[int],
    url: str,
    concurrency: int,
    distilabel: str | None,
) -> None:
    """Run the serial loop and the other tools, and print their times next to the merger's median for each shape."""
    serial = serial_seconds(pairs[:SERIAL_PAIRS], url)
    sides = [("one request after the other", *serial, SERIAL_PAIRS)]
    for np_ in nps:
        few = min(SERIAL_PAIRS * np_, len(pairs))
        sides.append((f"Data-Juicer's optimize_qa_mapper, np {np_}", *data_juicer_seconds(pairs[:few], url, np_), few))
    if distilabel:
        sides.append(("distilabel, a pipeline", *distilabel_seconds(pairs, url, concurrency, distilabel), len(pairs)))
    for topics, all_seconds in taken.items():
        name = f"llm_pair_merger_mapper, {shape(topics, len(pairs))}"
        sides.append((name, statistics.median(all_seconds), len(pairs), len(pairs)))
    print("\n| | pairs | seconds | s per 1,000 merges | times the serial loop |")
    print("|---|---|---|---|---|")
    for name, seconds, merges, asked in sides:
        assert merges >= _MERGED * asked, f"{name}: {merges} of {asked} pairs came back"
        each, serial_each = seconds / asked, serial[0] / SERIAL_PAIRS
        print(f"| {name} | {asked} | {seconds:.1f} | {1000 * each:.1f} | {serial_each / each:.1f} |", flush=True)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=DATA, help="JSON Lines with instruction, input and output")
    parser.add_argument("--pairs", type=int, nargs="+", default=[2000], help="number of pairs; also try 1000")
    parser.add_argument("--latency", type=float, nargs="+", default=[0.5, 1.0], help="seconds for each answer")
    parser.add_argument("--concurrency", type=int, default=64)
    parser.add_argument("--np", type=int, nargs="+", default=[2, 16], help="processes of Data-Juicer's mapper")
    parser.add_argument("--repeats", type=int, default=1, help="runs of each shape; more than one: median and spread")
    parser.add_argument("--ours-only", action="store_true", help="leave out the serial loop and Data-Juicer's mapper")
    parser.add_argument("--distilabel", help="a Python that has distilabel[openai]")
    parser.add_argument("--layers", action="store_true", help="print the processor time of the client by layer of code")
    options = parser.parse_args()
    logger.remove()
    for library in ("httpx", "httpx2"):
        logging.getLogger(library).setLevel(logging.WARNING)
    for count in options.pairs:
        pairs = read_pairs(options.data, count)
        for latency in options.latency:
            with server(latency) as (url, other):
                # Libraries are loaded before the measurement, because loading belongs to the start, not to a merge.
                our_seconds(topics_of(pairs[:2], 1), url, options.concurrency)
                taken = measure_ours(pairs, latency, options.concurrency, options.repeats, url, other)
                if options.layers:
                    show_layers(pairs, options.concurrency, url)
                if not options.ours_only:
                    measure_slow_sides(pairs, taken, options.np, url, options.concurrency, options.distilabel)


if __name__ == "__main__":
    main()
