"""Tokens per second of the merger's local model, compared with a plain loop over `pipeline("text-generation")`.

    python benchmarks/local_llm.py [--shape tiny|0.5b|1b|7b] [--prompts 16] [--new-tokens 64] [--runs 1]

Builds a model with random weights in bfloat16 and the shape of a published model. It continues merge prompts from the
bundled sample by exactly `--new-tokens` tokens each, drawn at temperature 0.25. One side is a loop with one prompt at a
time, as in the introduction of the transformers documentation. The other side is the merger's engine. They take turns,
and use the GPU if there is one.

Prints the generated tokens per second, including the time to read prompts, the processor seconds, and both ratios. Set
OMP_NUM_THREADS=1, so that other work on the machine hardly affects the ratio of processor time.
"""

from __future__ import annotations

import argparse
import tempfile
import time
from collections.abc import Callable, Mapping
from typing import Any

from common import SAMPLE, median, read_rows, table

from mergeit_ops.core.merging.prompts import build_messages
from mergeit_ops.core.sample import Sample
from mergeit_ops.llm.engine import build_engine
from mergeit_ops.llm.requests import LLMRequest
from mergeit_ops.llm.settings import LLMSettings

TEMPLATE = (
    "{% for m in messages %}<|{{ m['role'] }}|>\n{{ m['content'] }}</s>\n{% endfor %}"
    "{% if add_generation_prompt %}<|assistant|>\n{% endif %}"
)

# A small model of our own, Qwen2.5-0.5B, Llama-3.2-1B and Llama-2-7B: 58, 494, 1,236 and 6,738 million
# parameters.
SHAPES: Mapping[str, Mapping[str, Any]] = {
    "tiny": {
        "vocab_size": 32_000,
        "hidden_size": 512,
        "intermediate_size": 1_376,
        "num_hidden_layers": 8,
        "num_attention_heads": 8,
        "num_key_value_heads": 8,
    },
    "0.5b": {
        "vocab_size": 151_936,
        "hidden_size": 896,
        "intermediate_size": 4_864,
        "num_hidden_layers": 24,
        "num_attention_heads": 14,
        "num_key_value_heads": 2,
    },
    "1b": {
        "vocab_size": 128_256,
        "hidden_size": 2_048,
        "intermediate_size": 8_192,
        "num_hidden_layers": 16,
        "num_attention_heads": 32,
        "num_key_value_heads": 8,
    },
    "7b": {
        "vocab_size": 32_000,
        "hidden_size": 4_096,
        "intermediate_size": 11_008,
        "num_hidden_layers": 32,
        "num_attention_heads": 32,
        "num_key_value_heads": 32,
        "tie_word_embeddings": False,
    },
}


def build_tokenizer(folder: str) -> None:
    """Write a tokenizer in the Hub's form, with a chat template, trained on the bundled sample."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, trainers
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE())
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    alphabet = pre_tokenizers.ByteLevel.alphabet()
    trainer = trainers.BpeTrainer(
        vocab_size=8_000, special_tokens=["<pad>", "</s>"], initial_alphabet=alphabet, show_progress=False
    )
    backend.train_from_iterator(SAMPLE.read_text(encoding="utf-8").splitlines(), trainer)
    tokenizer = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>")
    tokenizer.chat_template = TEMPLATE
    tokenizer.save_pretrained(folder)


def build_model(folder: str, shape: str, device: str = "cpu") -> None:
    """Write model and tokenizer in the Hub's form.

    :param folder: folder to write to.
    :param shape: name of a shape in `SHAPES`.
    :param device: device on which the weights are drawn.
    """
    import torch
    from transformers import AutoModelForCausalLM, LlamaConfig

    build_tokenizer(folder)
    config = LlamaConfig(
        **{"tie_word_embeddings": True, **SHAPES[shape]},
        max_position_embeddings=8_192,
        bos_token_id=None,
        eos_token_id=1,
        pad_token_id=0,
    )
    torch.manual_seed(0)
    with torch.device(device):
        model = AutoModelForCausalLM.from_config(config, dtype=torch.bfloat16)
    print(f"{model.num_parameters() / 1e6:,.0f} million parameters")
    model.save_pretrained(folder)


def conversations_of(rows: list[dict[str, Any]]) -> list[Any]:
    """Return the merge prompts of pairs of consecutive rows."""
    samples = [Sample(row["instruction"], row["input"], row["output"]) for row in rows]
    return [build_messages(pair) for pair in zip(samples[::2], samples[1::2], strict=False)]


def plain_loop(folder: str, new_tokens: int, device: str | None = None) -> Callable[[list[Any]], int]:
    """Return a function that answers one conversation after the other, and returns the number of tokens."""
    from transformers import pipeline

    generate = pipeline("text-generation", model=folder, device=device)
    options = {"max_new_tokens": new_tokens, "min_new_tokens": new_tokens, "do_sample": True, "temperature": 0.25}

    def run(conversations: list[Any]) -> int:
        for conversation in conversations:
            generate(list(conversation), **options)
        return new_tokens * len(conversations)

    return run


def through_the_engine(folder: str, new_tokens: int, device: str | None = None) -> Callable[[list[Any]], int]:
    """Return a function that answers all conversations with the engine, and returns the number of tokens."""
    # All answers are cut off at `--new-tokens`, so cut-off answers must not be repeated or stop the run.
    settings = LLMSettings(
        api_or_hf_model=folder,
        is_hf_model=True,
        model_params={"dtype": "bfloat16"},
        sampling_params={"temperature": 0.25, "max_tokens": new_tokens, "min_tokens": new_tokens},
        try_num=1,
        max_failure_ratio=1,
        cache_path=None,
    )
    engine = build_engine(settings, accelerator=device)

    def run(conversations: list[Any]) -> int:
        requests = [LLMRequest(number, turns, str) for number, turns in enumerate(conversations)]
        return engine.run(requests, lambda outcome: None).completion_tokens

    return run


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__.splitlines()[0])
    parser.add_argument("--shape", choices=sorted(SHAPES), default="0.5b", help="shape of the model (default: 0.5b)")
    parser.add_argument("--prompts", type=int, default=16, help="conversations (default: 16)")
    parser.add_argument("--new-tokens", type=int, default=64, help="tokens of each answer (default: 64)")
    parser.add_argument("--runs", type=int, default=1, help="runs per side (default: 1)")
    options = parser.parse_args()
    conversations = conversations_of(read_rows(SAMPLE))[: options.prompts]
    sides: dict[str, list[tuple[float, float]]] = {"`pipeline`, one prompt at a time": [], "the merger's engine": []}
    with tempfile.TemporaryDirectory() as folder:
        build_model(folder, options.shape)
        runs = [maker(folder, options.new_tokens) for maker in (plain_loop, through_the_engine)]
        for run in runs:
            run(conversations[:1])  # loads the model
        for _ in range(options.runs):
            for run, times in zip(runs, sides.values(), strict=True):
                clock, processor = time.perf_counter(), time.process_time()
                tokens = run(conversations)
                times.append((time.perf_counter() - clock, time.process_time() - processor))
                assert tokens == options.new_tokens * len(conversations), tokens
    figures = {side: [median(column) for column in zip(*times, strict=True)] for side, times in sides.items()}
    total = options.new_tokens * len(conversations)
    rows = [[side, f"{total / wall:.2f}", f"{wall:.1f}", f"{used:.1f}"] for side, (wall, used) in figures.items()]
    print(f"{len(conversations)} prompts, {options.new_tokens} tokens each, {options.runs} runs each, in turns\n")
    print(table(["a model of this machine", "tokens per second", "seconds", "of processor time"], rows))
    loop, ours = figures.values()
    print(f"\nratio {loop[0] / ours[0]:.2f}, of processor time {loop[1] / ours[1]:.2f}")


if __name__ == "__main__":
    main()
