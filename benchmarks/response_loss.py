"""Tokens per second of `response_loss`, compared with a plain transformers loop and Data-Juicer's IFD filter.

    python benchmarks/response_loss.py [--data rows.jsonl] [--rows 96] [--turns 1] [--shape small] [--threads 2]

All sides compute the IFD of the same rows with the same model, which has random weights: the loss of a response after
its instruction, and alone. Each side runs in its own process, and the sides take turns. The loop reads one row at a
time and runs a forward pass for each text, like the released scripts. `response_loss` writes its losses to a journal,
as in a run. If others use the machine, CPU seconds are more reliable than seconds. `--turns 4` joins four rows into one
conversation, in which every turn counts.
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
"""Width, layers and heads. `gpt2` is the default model of the scorer, with 124M parameters."""

_WORDS = 50_257
_POSITIONS = 1_024
_END = "<|endoftext|>"

Row = Mapping[str, Any]
Scorer = Callable[[Sequence[Sequence[Row]]], list[float]]
"""Computes the IFD of each conversation. A row is a conversation with one turn."""


def save_model(folder: Path, shape: str) -> None:
    """Write a model with GPT-2's architecture, and a tokenizer that is trained on the bundled sample."""
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
    """Return the prompt before the response."""
    return f"{row['instruction']}\n{row['input']}\n" if row.get("input") else f"{row['instruction']}\n"


def conversations(rows: Sequence[Row], turns: int) -> list[Sequence[Row]]:
    """Return rows as conversations with this number of turns."""
    return [rows[first : first + turns] for first in range(0, len(rows), turns)]


def ours(folder: Path, dtype: str) -> Scorer:
    """The scorer, called as by a filter."""
    from mergeit_ops.core.sample import Round, Sample
    from mergeit_ops.scorers.response_loss import ResponseLossScorer

    cache = str(folder / "losses.db")
    scorer = ResponseLossScorer(
        hf_model=str(folder), dtype=dtype, device="cpu", max_length=_POSITIONS, cache_path=cache
    )

    def run(chats: Sequence[Sequence[Row]]) -> list[float]:
        samples = [
            Sample(chat[0]["instruction"], chat[0].get("input") or "", chat[0]["output"])
            if len(chat) == 1
            else Sample("", "", "", rounds=tuple(Round(prompt_of(row)[:-1], row["output"]) for row in chat))
            for chat in chats
        ]
        return [score.value or float("nan") for score in scorer.score(samples)]

    return run


def loop(folder: Path, dtype: str) -> Scorer:
    """Transformers with a forward pass for each text: each response after its whole context, and alone."""
    import torch
    from transformers import AutoModelForCausalLM, AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    model = AutoModelForCausalLM.from_pretrained(folder, dtype=dtype).eval()

    def loss(before: str, response: str) -> tuple[float, int]:
        known = tokenizer(_END + before)["input_ids"]
        ids = torch.tensor([(known + tokenizer(response)["input_ids"])[:_POSITIONS]])
        labels = ids.clone()
        labels[0, : len(known)] = -100
        return float(model(input_ids=ids, labels=labels).loss), ids.shape[1] - len(known)

    def ifd(chat: Sequence[Row]) -> float:
        read, gained, tokens = "", 0.0, 0
        for row in chat:
            read += prompt_of(row)
            (given, count), (alone, _) = loss(read, row["output"]), loss("", row["output"])
            gained, tokens = gained + count * (given - alone), tokens + count
            read += row["output"] + "\n"
        return float(np.exp(gained / tokens))

    def run(chats: Sequence[Sequence[Row]]) -> list[float]:
        with torch.inference_mode():
            return [ifd(chat) for chat in chats]

    return run


def data_juicer(folder: Path, dtype: str) -> Scorer:
    """`instruction_following_difficulty_filter`. It computes a ratio of losses, and scores only the last turn."""
    from data_juicer.ops.filter.instruction_following_difficulty_filter import InstructionFollowingDifficultyFilter
    from data_juicer.utils.constant import Fields, StatsKeys

    operator = InstructionFollowingDifficultyFilter(
        hf_model=str(folder),
        model_params={"torch_dtype": dtype},
        query_template="{instruction}\n{input}",
        response_template="{output}",
    )

    def run(chats: Sequence[Sequence[Row]]) -> list[float]:
        asked = [{**chat[-1], "input": chat[-1].get("input") or "", Fields.stats: {}} for chat in chats]
        return [operator.compute_stats_single(row)[Fields.stats][StatsKeys.ifd_score] for row in asked]

    return run


OURS, LOOP, NARROW = "`response_loss`", "transformers, a text at a time", "`response_loss`, `dtype: bfloat16`"
SIDES = {
    OURS: (ours, "float32"),
    LOOP: (loop, "float32"),
    "Data-Juicer": (data_juicer, "float32"),
    NARROW: (ours, "bfloat16"),
}


def measure(side: str, folder: Path, chats: Sequence[Sequence[Row]], threads: int) -> None:
    """Print the times of a side as JSON."""
    import torch

    torch.set_num_threads(threads)
    make, dtype = SIDES[side]
    run = make(folder, dtype)
    run([[{"instruction": "Warm up.", "input": "", "output": "It is warm."}]])  # loads libraries and the model
    began = time.process_time()
    seconds, found = timed(lambda: run(chats))
    busy = time.process_time() - began
    # Linux counts in kilobytes, macOS in bytes.
    peak = resource.getrusage(resource.RUSAGE_SELF).ru_maxrss / (1024 if sys.platform == "linux" else 1024**2)
    print(json.dumps({"seconds": seconds, "busy": busy, "found": found, "peak": peak}))


def tokens_of(folder: Path, rows: Sequence[Row]) -> int:
    """Return the number of tokens to read: each response after its prompt and alone, both after a first token."""
    from transformers import AutoTokenizer

    tokenizer = AutoTokenizer.from_pretrained(folder)
    responses = [len(ids) for ids in tokenizer([row["output"] for row in rows])["input_ids"]]
    prompts = [len(ids) for ids in tokenizer([prompt_of(row) for row in rows])["input_ids"]]
    return sum(prompts) + 2 * sum(responses) + 2 * len(rows)


def ranks_agree(one: Sequence[float], other: Sequence[float]) -> float:
    """Return Spearman's rank correlation."""
    ranks = [np.argsort(np.argsort(values)) for values in (one, other)]
    return float(np.corrcoef(*ranks)[0, 1])


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--data", type=Path, default=SAMPLE, help="JSON Lines with instruction, input and output")
    parser.add_argument("--rows", type=int, default=96)
    parser.add_argument("--turns", type=int, default=1, help="number of rows that form one conversation")
    parser.add_argument("--shape", choices=SHAPES, default="small")
    parser.add_argument("--threads", type=int, default=os.cpu_count())
    parser.add_argument("--rounds", type=int, default=3)
    parser.add_argument("--side", choices=SIDES, help=argparse.SUPPRESS)
    parser.add_argument("--folder", type=Path, help=argparse.SUPPRESS)
    options = parser.parse_args()
    rows = read_rows(options.data, options.rows)
    chats = conversations(rows, options.turns)
    if options.side:
        measure(options.side, options.folder, chats, options.threads)
        return
    found: dict[str, list[dict[str, Any]]] = {side: [] for side in SIDES if options.turns == 1 or side != "Data-Juicer"}
    with tempfile.TemporaryDirectory() as folder:
        save_model(Path(folder), options.shape)
        tokens = tokens_of(Path(folder), rows)
        for _ in range(options.rounds):
            for side, parts in found.items():
                for file in Path(folder).glob("losses.db*"):
                    file.unlink()
                command = [sys.executable, __file__, *sys.argv[1:], "--side", side, "--folder", folder]
                process = subprocess.run(
                    command, env=os.environ | {"HF_HUB_OFFLINE": "1"}, capture_output=True, text=True, check=False
                )
                if process.returncode:
                    raise SystemExit(f"{side} failed:\n{process.stderr[-3000:]}")
                parts.append(json.loads(process.stdout.splitlines()[-1]))
    scores = {side: parts[0]["found"] for side, parts in found.items()}
    # If a text is tokenized as a whole, a token can span the end of the instruction.
    np.testing.assert_allclose(scores[OURS], scores[LOOP], rtol=0.05)
    seconds = {side: median([part["seconds"] for part in parts]) for side, parts in found.items()}
    busy = {side: median([part["busy"] for part in parts]) for side, parts in found.items()}
    print(
        f"{len(chats):,} rows of {options.turns} turns, {tokens:,} tokens; shape {options.shape}, {options.threads} "
        f"threads; median of {options.rounds}. Rank correlation of the IFD in bfloat16 with that in float32: "
        f"{ranks_agree(scores[OURS], scores[NARROW]):.3f}\n"
    )
    lines = [
        [
            side,
            f"{seconds[side]:.1f}",
            f"{tokens / seconds[side]:,.0f}",
            f"{seconds[side] / seconds[OURS]:.2f}",
            f"{busy[side]:.1f}",
            f"{busy[side] / busy[OURS]:.2f}",
            f"{max(part['peak'] for part in parts):,.0f}",
        ]
        for side, parts in found.items()
    ]
    print(table(("side", "seconds", "tokens/s", "times ours", "CPU seconds", "times ours", "peak MiB"), lines))


if __name__ == "__main__":
    main()
