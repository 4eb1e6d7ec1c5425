"""Tokens per second of `response_loss`, beside a plain loop over transformers and Data-Juicer's own filter of IFD.

    python benchmarks/response_loss.py [--data rows.jsonl] [--rows 96] [--shape small] [--threads 2] [--rounds 3]

All give the IFD of the same rows by the same model, whose weights are random: a response behind its instruction, and
alone. Each side is a process of its own, and the rounds alternate. The loop reads a row at a time and makes a forward
pass for each text, as the released scripts do. `response_loss` keeps its losses in a journal, as it does in a run.
"""

from __future__ import annotations

import argparse
import json
import os
import resource
import subprocess
import sys
import tempfile
import time
from collections.abc import Callable, Mapping, Sequence
from pathlib import Path
from typing import Any

import numpy as np
from common import SAMPLE, median, read_rows, table, timed

SHAPES: Mapping[str, tuple[int, int, int]] = {"tiny": (64, 2, 2), "small": (256, 6, 4), "gpt2": (768, 12, 12)}
"""Width, layers and heads; `gpt2` is the default model of the scorer, of 124M parameters."""

_WORDS = 50_257
_POSITIONS = 1_024
_END = "<|endoftext|>"

Row = Mapping[str, Any]


def save_model(folder: Path, shape: str) -> None:
    """Write a model of GPT-2's architecture, and a tokenizer of its kind that has learnt from the sample that ships."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=_WORDS, initial_alphabet=alphabet, special_tokens=[_END], show_progress=False
    )
    backend.train_from_iterator((text for row in read_rows(SAMPLE) for text in row.values() if text), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=_END, eos_token=_END)
    tokenizer.model_max_length = _POSITIONS
    tokenizer.save_pretrained(folder)
    torch.manual_seed(0)
    width, layers, heads = SHAPES[shape]
    config = GPT2Config(vocab_size=_WORDS, n_positions=_POSITIONS, n_embd=width, n_layer=layers, n_head=heads)
    GPT2LMHeadModel(config).save_pretrained(folder)


def prompt_of(row: Row) -> str:
    """Return what stands before the response."""
    return f"{row['instruction']}\n{row['input']}\n" if row.get("input") else f"{row['instruction']}\n"


def ours(folder: Path, dtype: str) -> Callable[[Sequence[Row]], list[float]]:
    """The scorer, as a filter asks it."""
    from mergeit_ops.core.sample import Sample
    from mergeit_ops.scorers.response_loss import ResponseLossScorer

    scorer = ResponseLossScorer(hf_model=str(folder), dtype=dtype, device="cpu", cache_path=str(folder / "losses.db"))

    def run(rows: Sequence[Row]) -> list[float]:
        samples = [Sample(row["instruction"], row.get("input") or "", row["output"]) for row in rows]
        return [score.value or float("nan") for score in scorer.score(samples)]

    return run


def loop(folder: Path, dtype: str) -> Callable[[Sequence[Row]], list[float]]:
    """Transformers, a forward pass for each text."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()

    def loss(before: str, response: str) -> float:
        known = tokenizer(_END + before)["input_ids"]
        ids = torch.tensor([(known + tokenizer(response)["input_ids"])[:_POSITIONS]])
        labels = ids.clone()
        labels[0, : len(known)] = -100
        return float(model(input_ids=ids, labels=labels).loss)

    def run(rows: Sequence[Row]) -> list[float]:
        with torch.inference_mode():
            return [float(np.exp(loss(prompt_of(row), row["output"]) - loss("", row["output"]))) for row in rows]

    return run


def data_juicer(folder: Path, dtype: str) -> Callable[[Sequence[Row]], list[float]]:
    """`instruction_following_difficulty_filter`: its figures are another ratio, of losses."""
    from data_juicer.ops.filter.instruction_following_difficulty_filter import InstructionFollowingDifficultyFilter
    from data_juicer.utils.constant import Fields, StatsKeys

    operator = InstructionFollowingDifficultyFilter(
        hf_model=str(folder),
        model_params={"torch_dtype": dtype},
        query_template="{instruction}\n{input}",
        response_template="{output}",
    )

    def run(rows: Sequence[Row]) -> list[float]:
        asked = [{**row, "input": row.get("input") or "", Fields.stats: {}} for row in rows]
        return [operator.compute_stats_single(row)[Fields.stats][StatsKeys.ifd_score] for row in asked]

    return run


SIDES = {"response_loss": ours, "transformers, a text at a time": loop, "Data-Juicer": data_juicer}


def measure(side: str, folder: Path, rows: Sequence[Row], threads: int, dtype: str) -> None:
    """Print what a side takes, as JSON."""
    import torch

    torch.set_num_threads(threads)
    run = SIDES[side](folder, dtype)
    run([{"instruction": "Warm up.", "input": "", "output": "It is warm."}])  # loads libraries and the model
    began = time.process_time()
    seconds, found = timed(lambda: run(rows))
    busy = time.process_time() - began
    # Linux counts kilobytes, macOS bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(json.dumps({"seconds": seconds, "busy": busy, "found": found, "peak": peak}))


def tokens_of(folder: Path, rows: Sequence[Row]) -> int:
    """Return how many tokens have to be read: a response behind its prompt and alone, each behind a first token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    responses = [len(ids) for ids in tokenizer([row["output"] for row in rows])["input_ids"]]
    prompts = [len(ids) for ids in tokenizer([prompt_of(row) for row in rows])["input_ids"]]
    return sum(prompts) + 2 * sum(responses) + 2 * len(rows)


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SAMPLE, help="JSON Lines with instruction, input and output")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--dtype", default="float32")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows = read_rows(options.data, options.rows)
    if options.side:
        measure(options.side, options.folder, rows, options.threads, options.dtype)
        return
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES}
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), options.shape)
        tokens = tokens_of(Path(folder), rows)
        for _ in range(options.rounds):
            for side in SIDES:
                Path(folder, "losses.db").unlink(missing_ok=True)
                command = [sys.executable, __file__, *sys.argv[1:], "--side", side, "--folder", folder]
                process = subprocess.run(
                    command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True
                )
                if process.returncode:
                    raise SystemExit(f"{side} failed:\n{process.stderr[-3000:]}")
                found[side].append(json.loads(process.stdout.splitlines()[-1]))
    np.testing.assert_allclose(
        found["response_loss"][0]["found"],
        found["transformers, a text at a time"][0]["found"],
        rtol=0.02 if options.dtype != "float32" else 1e-3,
    )
    seconds = {side: median([part["seconds"] for part in parts]) for side, parts in found.items()}
    busy = {side: median([part["busy"] for part in parts]) for side, parts in found.items()}
    print(
        f"{len(rows):,} rows, {tokens:,} tokens; shape {options.shape}, {options.dtype}, {options.threads} threads; "
        f"median of {options.rounds}\n"
    )
    lines = [
        [
            side,
            f"{seconds[side]:.1f}",
            f"{tokens / seconds[side]:,.0f}",
            f"{seconds[side] / seconds['response_loss']:.2f}",
            f"{busy[side]:.1f}",
            f"{busy[side] / busy['response_loss']:.2f}",
            f"{max(part['peak'] for part in parts):,.0f}",
        ]
        for side, parts in found.items()
    ]
    print(table(("side", "seconds", "tokens/s", "times ours", "CPU seconds", "times ours", "peak MiB"), lines))


if __name__ == "__main__":
    main()
