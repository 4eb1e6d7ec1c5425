"""Tiny models for real servers: one set of weights in the Hub's format and in llama.cpp's format.

Their answers are random, but of a useful form: printable characters, enough quotation marks to end a text under a JSON
schema, mostly digits of a quality score, and an end after some dozens of tokens.

A second set, `bytes`, is for losses. Its tokens are bytes, as in GPT-2, Llama 3 and Qwen, and its weights are random.

`python -m tests.servers.models FOLDER` writes `FOLDER/hub` and `FOLDER/model.gguf`, `FOLDER/bytes` and
`FOLDER/bytes.gguf`, and `FOLDER/bytes-without-bos.gguf`, which says that texts have no BOS before them.
"""

from __future__ import annotations

import sys
from collections.abc import Callable
from functools import partial
from pathlib import Path
from typing import Any

from tests import tiny_models

CONTEXT = 16384
"""Tokens the models are made for; a server may be started with fewer."""

_CHAT_TEMPLATE = (
    "{{ bos_token }}{% for turn in messages %}[{{ turn['role'] }}]\n{{ turn['content'] }}\n{% endfor %}"
    "{% if add_generation_prompt %}[assistant]\n{% endif %}"
)
_END_OF_TEXT = 2
_NEVER = -30.0
# Added to the logits. At the temperature that recipes set, 0.25, a difference of 0.25 is a factor of e.
_END, _QUOTE, _DIGIT, _LETTER, _OTHER = 0.4, 0.4, 0.4, 0.0, -0.8
_NOISE = 0.04
_HEADS, _KEY_VALUE_HEADS = 4, 2


def tokenizer() -> Any:
    """The tokenizer of the tiny Llama models, with a chat template."""
    made = tiny_models.tokenizer("llama")
    made.chat_template = _CHAT_TEMPLATE
    return made


def model() -> Any:
    """A tiny Llama whose next token depends almost only on a bias.

    The architecture has no biases, so a constant coordinate of the residual stream serves as one.
    """
    import torch

    made = tiny_models.model("llama")
    made.config.max_position_embeddings = CONTEXT
    made.generation_config.do_sample = True
    made.generation_config.eos_token_id = _END_OF_TEXT
    width = made.config.hidden_size
    size = 8.0
    with torch.no_grad():
        made.model.embed_tokens.weight[:, 0] = size
        for layer in made.model.layers:
            layer.self_attn.o_proj.weight[0] = 0.0
            layer.mlp.down_proj.weight[0] = 0.0
            layer.self_attn.o_proj.weight.mul_(0.2)
            layer.mlp.down_proj.weight.mul_(0.2)
        made.lm_head.weight.mul_(_NOISE)
        made.lm_head.weight[:, 0] = torch.tensor(_biases()) / width**0.5
    return made.eval()


def _biases() -> list[float]:
    biases = [_NEVER] * tiny_models.LENGTH
    for piece, number in tiny_models.vocabulary("llama").items():
        if len(piece) == 1:
            biases[number] = _LETTER if piece.isalpha() or piece == tiny_models.BLANK else _OTHER
        if piece == '"':
            biases[number] = _QUOTE
        if len(piece) == 1 and piece in tiny_models.DIGITS:
            biases[number] = _DIGIT
    biases[_END_OF_TEXT] = _END
    return biases


BOS = "<|begin_of_text|>"
_MERGES = [("t", "h"), ("i", "n"), ("Ġ", "a"), ("Ġ", "t")]


def byte_tokenizer() -> Any:
    """A tokenizer of bytes and a few pairs, which puts BOS before a text."""
    from tokenizers import Tokenizer, decoders, models, pre_tokenizers, processors
    from transformers import PreTrainedTokenizerFast

    backend = Tokenizer(models.BPE(vocab=_byte_vocabulary(), merges=_MERGES))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.post_processor = processors.TemplateProcessing(single=f"{BOS} $A", special_tokens=[(BOS, 0)])
    return PreTrainedTokenizerFast(tokenizer_object=backend, bos_token=BOS, eos_token=BOS)


def _byte_vocabulary() -> dict[str, int]:
    from tokenizers import pre_tokenizers

    pieces = [BOS, *sorted(pre_tokenizers.ByteLevel.alphabet()), *map("".join, _MERGES)]
    return {piece: number for number, piece in enumerate(pieces)}


def byte_model() -> Any:
    """A tiny Llama with random weights and this vocabulary."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(_byte_vocabulary()),
        hidden_size=32,
        intermediate_size=64,
        num_hidden_layers=2,
        num_attention_heads=_HEADS,
        num_key_value_heads=_KEY_VALUE_HEADS,
        max_position_embeddings=CONTEXT,
        initializer_range=0.25,
        bos_token_id=0,
        eos_token_id=0,
    )
    return LlamaForCausalLM(config).eval()


def write_hub(folder: Path, tokenizer: Any, model: Any) -> None:
    """Write tokenizer and weights in the Hub's format."""
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)


def write_gguf(path: Path, made: Any, add_vocabulary: Callable[[Any], None]) -> None:
    """Write tokenizer and weights in llama.cpp's format.

    :param made: a Llama model.
    :param add_vocabulary: function that adds the tokenizer to a writer.
    """
    from gguf import GGUFWriter

    config = made.config
    writer = GGUFWriter(path, "llama")
    writer.add_name("tiny")
    writer.add_context_length(CONTEXT)
    writer.add_embedding_length(config.hidden_size)
    writer.add_block_count(config.num_hidden_layers)
    writer.add_feed_forward_length(config.intermediate_size)
    writer.add_head_count(_HEADS)
    writer.add_head_count_kv(_KEY_VALUE_HEADS)
    writer.add_layer_norm_rms_eps(config.rms_norm_eps)
    writer.add_rope_dimension_count(config.hidden_size // _HEADS)
    writer.add_rope_freq_base(10000.0)
    writer.add_vocab_size(config.vocab_size)
    add_vocabulary(writer)
    for name, tensor in made.state_dict().items():
        writer.add_tensor(_gguf_name(name), _gguf_tensor(name, tensor.float().numpy()))
    writer.write_header_to_file()
    writer.write_kv_data_to_file()
    writer.write_tensors_to_file()
    writer.close()


def _add_vocabulary(writer: Any) -> None:
    from gguf import TokenType

    pieces = sorted(tiny_models.vocabulary("llama").items(), key=lambda item: item[1])
    kinds = {0: TokenType.UNKNOWN, 1: TokenType.CONTROL, 2: TokenType.CONTROL}
    kinds |= dict.fromkeys(range(3, 259), TokenType.BYTE)
    writer.add_tokenizer_model("llama")
    writer.add_tokenizer_pre("default")
    writer.add_token_list([piece for piece, _ in pieces])
    # Pairs are joined in the order of the merges, which is that of their numbers.
    writer.add_token_scores([-float(number) if len(piece) > 1 else -1e4 for piece, number in pieces])
    writer.add_token_types([kinds.get(number, TokenType.NORMAL) for _, number in pieces])
    writer.add_bos_token_id(1)
    writer.add_eos_token_id(_END_OF_TEXT)
    writer.add_unk_token_id(0)
    writer.add_add_bos_token(True)
    writer.add_add_eos_token(False)
    writer.add_add_space_prefix(True)
    writer.add_chat_template(_CHAT_TEMPLATE)


def _add_bytes(writer: Any, puts_bos: bool) -> None:
    from gguf import TokenType

    pieces = list(_byte_vocabulary())
    writer.add_tokenizer_model("gpt2")
    writer.add_tokenizer_pre("gpt-2")
    writer.add_token_list(pieces)
    writer.add_token_types([TokenType.CONTROL, *[TokenType.NORMAL] * (len(pieces) - 1)])
    writer.add_token_merges([" ".join(pair) for pair in _MERGES])
    writer.add_bos_token_id(0)
    writer.add_eos_token_id(0)
    writer.add_add_bos_token(puts_bos)


def _gguf_name(name: str) -> str:
    for theirs, ours in (
        ("model.embed_tokens", "token_embd"),
        ("model.norm", "output_norm"),
        ("lm_head", "output"),
        ("model.layers.", "blk."),
        ("self_attn.q_proj", "attn_q"),
        ("self_attn.k_proj", "attn_k"),
        ("self_attn.v_proj", "attn_v"),
        ("self_attn.o_proj", "attn_output"),
        ("mlp.gate_proj", "ffn_gate"),
        ("mlp.up_proj", "ffn_up"),
        ("mlp.down_proj", "ffn_down"),
        ("post_attention_layernorm", "ffn_norm"),
        ("input_layernorm", "attn_norm"),
    ):
        name = name.replace(theirs, ours)
    return name


def _gguf_tensor(name: str, values: Any) -> Any:
    """Reorder weights: llama.cpp rotates neighbouring coordinates of queries and keys; transformers rotates halves."""
    heads = {"q_proj": _HEADS, "k_proj": _KEY_VALUE_HEADS}.get(name.split(".")[-2])
    if heads is None:
        return values
    rows, columns = values.shape
    return values.reshape(heads, 2, rows // heads // 2, columns).swapaxes(1, 2).reshape(rows, columns).copy()


if __name__ == "__main__":
    target = Path(sys.argv[1])
    target.mkdir(parents=True, exist_ok=True)
    write_hub(target / "hub", tokenizer(), model())
    write_gguf(target / "model.gguf", model(), _add_vocabulary)
    write_hub(target / "bytes", byte_tokenizer(), byte_model())
    write_gguf(target / "bytes.gguf", byte_model(), partial(_add_bytes, puts_bos=True))
    write_gguf(target / "bytes-without-bos.gguf", byte_model(), partial(_add_bytes, puts_bos=False))
