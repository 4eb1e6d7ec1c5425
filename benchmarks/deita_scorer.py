"""Rows per second of the `deita` scorer compared with a plain loop, on a Llama-shaped model with random weights.

    python benchmarks/deita_scorer.py [--rows 64] [--batch-size 8] [--runs 3]

Builds the model (58 million parameters, 32,000 tokens) and scores rows of the bundled sample on the CPU. The two sides
take turns. The plain loop generates two tokens for one prompt at a time and reads the first step, like the released
code. The scorer runs one forward pass for each batch of rows with similar lengths.

Prints for both sides the median rows per second and the processor seconds per row, then both ratios, and the largest
difference between the scores. Set OMP_NUM_THREADS=1, so that other work on the machine hardly affects the ratios: the
many small steps of the plain loop wait for threads.
"""

from __future__ import annotations

import argparse
import json
import random
import tempfile
import time
from collections.abc import Callable
from pathlib import Path
from statistics import median
from typing import Any

from mergeit_ops.core.sample import Sample
from mergeit_ops.core.scoring.deita import expected_score, quality_prompt
from mergeit_ops.scorers import build_scorer

SAMPLE = Path(__file__).resolve().parents[1] / "recipes" / "data" / "sample_instructions.jsonl"
VOCABULARY = 32_000


def rows_of_the_sample(count: int) -> list[Sample]:
    lines = SAMPLE.read_text(encoding="utf-8").splitlines()
    rows = [Sample(row["instruction"], row["input"], row["output"]) for row in map(json.loads, lines)]
    return random.Random(0).sample([row for row in rows if row.output.strip()], count)


def build_model(folder: str) -> None:
    import torch
    from tokenizers import Tokenizer, models, normalizers, processors, trainers
    from transformers import LlamaConfig, LlamaForCausalLM, PreTrainedTokenizerFast

    tokenizer = Tokenizer(models.BPE(unk_token="<unk>", byte_fallback=True))
    tokenizer.normalizer = normalizers.Sequence([normalizers.Prepend("▁"), normalizers.Replace(" ", "▁")])
    special = ["<unk>", "<s>", "</s>", *(f"<0x{byte:02X}>" for byte in range(256))]
    # With short pieces and separate digits, a row has about as many tokens as with Llama's tokenizer.
    trainer = trainers.BpeTrainer(
        vocab_size=4_000,
        special_tokens=special,
        initial_alphabet=list("123456"),
        max_token_length=6,
        show_progress=False,
    )
    tokenizer.train_from_iterator((word for line in SAMPLE.open(encoding="utf-8") for word in line.split()), trainer)
    tokenizer.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    PreTrainedTokenizerFast(
        tokenizer_object=tokenizer, unk_token="<unk>", bos_token="<s>", eos_token="</s>"
    ).save_pretrained(folder)
    torch.manual_seed(0)
    model = LlamaForCausalLM(
        LlamaConfig(
            vocab_size=VOCABULARY,
            hidden_size=512,
            intermediate_size=1_376,
            num_hidden_layers=8,
            num_attention_heads=8,
            num_key_value_heads=8,
            max_position_embeddings=2_048,
        )
    )
    print(f"{sum(parameter.numel() for parameter in model.parameters()) / 1e6:.0f} million parameters")
    model.save_pretrained(folder)


def plain_loop(tokenizer: Any, model: Any) -> Callable[[list[Sample]], list[float]]:
    """Return a function that scores one row after the other."""
    import torch

    digits = [tokenizer.get_vocab()[digit] for digit in "123456"]

    def score(samples: list[Sample]) -> list[float]:
        scores = []
        for sample in samples:
            tokens = tokenizer(quality_prompt(sample.query, sample.output), return_tensors="pt").to(model.device)
            with torch.inference_mode():
                answer = model.generate(
                    **tokens,
                    max_new_tokens=2,
                    min_new_tokens=2,
                    do_sample=False,
                    output_scores=True,
                    return_dict_in_generate=True,
                    pad_token_id=0,
                )
            scores.append(expected_score(answer.scores[0][0, digits].tolist()))
        return scores

    return score


def seconds(run: Callable[[], Any]) -> tuple[float, float]:
    """Return the wall seconds and the processor seconds."""
    clock, processor = time.perf_counter(), time.process_time()
    run()
    return time.perf_counter() - clock, time.process_time() - processor


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--rows", type=int, default=64, help="rows of the sample (default: 64)")
    parser.add_argument("--batch-size", type=int, default=8, help="rows per forward pass (default: 8)")
    parser.add_argument("--runs", type=int, default=3, help="runs per side (default: 3)")
    options = parser.parse_args()
    from transformers import AutoModelForCausalLM, AutoTokenizer

    rows = rows_of_the_sample(options.rows)
    with tempfile.TemporaryDirectory() as folder:
        build_model(folder)
        loop = plain_loop(AutoTokenizer.from_pretrained(folder), AutoModelForCausalLM.from_pretrained(folder).eval())
        scorer = build_scorer("deita", {"model": folder, "device": "cpu", "batch_size": options.batch_size})
        pairs = zip(loop(rows), scorer.score(rows), strict=True)  # loads both
        difference = max(abs(plain - (score.value or 0.0)) for plain, score in pairs)
        times = [(*seconds(lambda: loop(rows)), *seconds(lambda: scorer.score(rows))) for _ in range(options.runs)]
    slow, slow_processor, fast, fast_processor = (median(column) for column in zip(*times, strict=True))
    print(f"{len(rows)} rows, {options.runs} runs each, in turns\n")
    print("| Deita score of a row | rows per second | processor seconds per row |\n|---|---|---|")
    print(f"| plain loop, two tokens generated | {len(rows) / slow:.2f} | {slow_processor / len(rows):.3f} |")
    name = f"scorer `deita`, batches of {options.batch_size}"
    print(f"| {name} | {len(rows) / fast:.2f} | {fast_processor / len(rows):.3f} |")
    print(f"\nratio {slow / fast:.2f}, of processor time {slow_processor / fast_processor:.2f}")
    print(f"largest difference of a score {difference:.1e}")


if __name__ == "__main__":
    main()
