"""Language models of the shape of published ones and the size of a toy: random weights, built here."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping
from functools import lru_cache
from pathlib import Path
from typing import Any

# Where the real tokenizers keep "1" to "6".
DIGIT_IDS: Mapping[str, list[int]] = {
    "llama": [29896, 29906, 29941, 29946, 29945, 29953],
    "mistral": [28740, 28750, 28770, 28781, 28782, 28784],
}
DIGITS = "123456"
LENGTH = 32000
BLANK = "▁"  # how these tokenizers write a space
FIRST_CHARACTER = 300
WITH_BLANK = 500
WORDS = ["th", "in", "an", BLANK + "a", BLANK + "t"]


def vocabulary(family: str, without: str = "") -> dict[str, int]:
    """Bytes, characters, some pairs, and every digit twice: alone where the real ones have it, and after a blank.

    :param family: `llama` or `mistral`.
    :param without: digits to leave out.
    """
    pieces = {"<unk>": 0, "<s>": 1, "</s>": 2} | {f"<0x{byte:02X}>": 3 + byte for byte in range(256)}
    characters = [BLANK, *(chr(code) for code in range(33, 127) if chr(code) not in DIGITS)]
    pieces |= {character: FIRST_CHARACTER + number for number, character in enumerate(characters)}
    digits = [digit for digit in DIGITS if digit not in without]
    pieces |= {piece: WITH_BLANK + n for n, piece in enumerate([*(BLANK + digit for digit in digits), *WORDS])}
    pieces |= {digit: DIGIT_IDS[family][int(digit) - 1] for digit in digits}
    free = sorted(set(range(LENGTH)) - set(pieces.values()))
    return pieces | {f"<unused{number}>": number for number in free}


def tokenizer(family: str, without: str = "") -> Any:
    """A BPE tokenizer with bytes to fall back on, which puts <s> first, as those of Llama and Mistral do."""
    from tokenizers import Tokenizer, decoders, models, normalizers, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    pieces = vocabulary(family, without)
    merges = [(BLANK, digit) for digit in DIGITS if digit in pieces] + [(word[0], word[1]) for word in WORDS]
    backend = Tokenizer(models.BPE(vocab=pieces, merges=merges, unk_token="<unk>", byte_fallback=True))
    if family == "llama":
        backend.normalizer = normalizers.Sequence([normalizers.Prepend(BLANK), normalizers.Replace(" ", BLANK)])
    else:
        backend.pre_tokenizer = pre_tokenizers.Metaspace(BLANK, prepend_scheme="first", split=False)
    backend.decoder = decoders.Sequence([decoders.Replace(BLANK, " "), decoders.ByteFallback(), decoders.Fuse()])
    backend.post_processor = processors.TemplateProcessing(single="<s> $A", special_tokens=[("<s>", 1)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, unk_token="<unk>", bos_token="<s>", eos_token="</s>")


def model(family: str) -> Any:
    """Two layers with weights wide enough for logits to differ."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM, MistralConfig, MistralForCausalLM

    config, causal_lm = {
        "llama": (LlamaConfig, LlamaForCausalLM),
        "mistral": (MistralConfig, MistralForCausalLM),
    }[family]
    torch.manual_seed(0)
    return causal_lm(
        config(
            vocab_size=LENGTH,
            hidden_size=32,
            intermediate_size=64,
            num_hidden_layers=2,
            num_attention_heads=4,
            num_key_value_heads=2,
            max_position_embeddings=4096,
            initializer_range=0.25,
        )
    )


def save(folder: Path, family: str) -> str:
    """Write both as the Hub keeps them."""
    tokenizer(family).save_pretrained(folder)
    model(family).save_pretrained(folder)
    return str(folder)


GPT2_POSITIONS = 128


@lru_cache
def gpt2_folder() -> str:
    """A model of GPT-2's shape, as the Hub keeps one: bytes for tokens, and nothing put before a text; made once."""
    import torch
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers
    from transformers import GPT2Config, GPT2LMHeadModel, PreTrainedTokenizerFast

    end = "<|endoftext|>"
    pieces = {piece: number for number, piece in enumerate([*sorted(pre_tokenizers.ByteLevel.alphabet()), end])}
    backend = Tokenizer(models.BPE(vocab=pieces, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    folder = tempfile.mkdtemp(prefix="tiny-gpt2-")
    PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=end, eos_token=end).save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(pieces),
        n_positions=GPT2_POSITIONS,
        n_embd=32,
        n_layer=2,
        n_head=4,
        initializer_range=0.25,
        bos_token_id=len(pieces) - 1,
        eos_token_id=len(pieces) - 1,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder
