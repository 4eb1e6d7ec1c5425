"""Tiny language models with published architectures and random weights."""

from __future__ import annotations

import tempfile
from collections.abc import Mapping, Sequence
from functools import lru_cache
from itertools import pairwise
from pathlib import Path
from typing import Any

# The ids of "1" to "6" in the real tokenizers.
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
    """A vocabulary of bytes, characters, some pairs, and every digit twice: with its real id, and after a space.

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
    """A BPE tokenizer with byte fallback that puts <s> first, like those of Llama and Mistral."""
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
    """A model with two layers, and with weights large enough for different logits."""
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
    """Write both in the Hub's format."""
    tokenizer(family).save_pretrained(folder)
    model(family).save_pretrained(folder)
    return str(folder)


GPT2_POSITIONS = 128


@lru_cache
def gpt2_folder(positions: int = GPT2_POSITIONS) -> str:
    """A model with GPT-2's architecture in the Hub's format, without a BOS token. Its tokens are bytes. Made once."""
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
        n_positions=positions,
        n_embd=32,
        n_layer=2,
        n_head=4,
        initializer_range=0.25,
        bos_token_id=len(pieces) - 1,
        eos_token_id=len(pieces) - 1,
    )
    GPT2LMHeadModel(config).save_pretrained(folder)
    return folder


@lru_cache
def encoder_folder() -> str:
    """A sentence-transformers model with random weights and eight dimensions. Made once."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import Pooling, Transformer
    from transformers import BertConfig, BertModel, BertTokenizerFast

    folder = Path(tempfile.mkdtemp(prefix="tiny-encoder-"))
    words = ["[PAD]", "[UNK]", "[CLS]", "[SEP]", "[MASK]", "name", "a", "fruit", "tree"]
    (folder / "vocab.txt").write_text("\n".join(words), encoding="utf-8")
    BertTokenizerFast(vocab_file=str(folder / "vocab.txt")).save_pretrained(folder / "bert")
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(words), hidden_size=8, num_hidden_layers=1, num_attention_heads=2, intermediate_size=16
    )
    BertModel(config).save_pretrained(folder / "bert")
    transformer = Transformer(str(folder / "bert"))
    pooling = Pooling(8, pooling_mode="mean")
    SentenceTransformer(modules=[transformer, pooling], device="cpu").save(str(folder / "model"))
    return str(folder / "model")


PLAIN_TEMPLATE = (
    "{% for m in messages %}<{{ m['role'] }}>{{ m['content'] }}{% endfor %}"
    "{% if add_generation_prompt %}<assistant>{% endif %}"
)


def chat_tokenizer(pieces: Sequence[str] = (), template: str | None = PLAIN_TEMPLATE) -> Any:
    """A tokenizer of bytes and some longer pieces, of which `<assistant>` is the last.

    :param pieces: texts that are one token each.
    :param template: chat template; None for none.
    """
    from tokenizers import AddedToken, Tokenizer, decoders, models, pre_tokenizers
    from transformers import PreTrainedTokenizerFast

    alphabet = sorted(pre_tokenizers.ByteLevel.alphabet())
    backend = Tokenizer(models.BPE(vocab={token: n for n, token in enumerate(["<pad>", "</s>", *alphabet])}, merges=[]))
    backend.pre_tokenizer = pre_tokenizers.ByteLevel(add_prefix_space=False)
    backend.decoder = decoders.ByteLevel()
    backend.add_tokens([AddedToken(piece, normalized=False) for piece in [*pieces, "<assistant>"]])
    wrapped = PreTrainedTokenizerFast(tokenizer_object=backend, pad_token="<pad>", eos_token="</s>")
    wrapped.chat_template = template
    return wrapped


def save_parrot(
    folder: Path, answers: Sequence[Sequence[str]], template: str = PLAIN_TEMPLATE, context: int = 16384
) -> str:
    """Write a model that gives one of several fixed answers to any prompt, all with the same probability.

    Its layers add nothing, so the next token depends only on the last one. After `<assistant>` comes the first piece of
    an answer, after each piece the next one, and after the last piece the end token.

    :param folder: folder to write to.
    :param answers: each answer as a list of pieces. A piece of several answers is followed by the next of any of them.
    :param template: chat template, which ends with `<assistant>`.
    :param context: tokens of its context.
    """
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = chat_tokenizer(sorted({piece for answer in answers for piece in answer}), template)
    ids = tokenizer.get_vocab()
    size = len(tokenizer)
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=size,
        hidden_size=512,
        intermediate_size=16,
        num_hidden_layers=2,
        num_attention_heads=4,
        max_position_embeddings=context,
        tie_word_embeddings=False,
        bos_token_id=None,
        eos_token_id=ids["</s>"],
        pad_token_id=ids["<pad>"],
    )
    model = LlamaForCausalLM(config)
    with torch.no_grad():
        for layer in model.model.layers:
            layer.self_attn.o_proj.weight.zero_()
            layer.mlp.down_proj.weight.zero_()
        model.model.embed_tokens.weight.copy_(torch.nn.functional.one_hot(torch.arange(size), 512)[:, :512])
        model.lm_head.weight.zero_()
        for answer in answers:
            tokens = [ids[piece] for piece in ["<assistant>", *answer, "</s>"]]
            for before, after in pairwise(tokens):
                model.lm_head.weight[after, before] = 1.0
    tokenizer.save_pretrained(folder)
    model.save_pretrained(folder)
    return str(folder)


def save_rambler(folder: Path) -> str:
    """Write a model with random weights, which never stops by itself."""
    import torch
    from transformers import LlamaConfig, LlamaForCausalLM

    tokenizer = chat_tokenizer()
    torch.manual_seed(0)
    config = LlamaConfig(
        vocab_size=len(tokenizer),
        hidden_size=16,
        intermediate_size=32,
        num_hidden_layers=2,
        num_attention_heads=2,
        num_key_value_heads=2,
        max_position_embeddings=512,
        eos_token_id=1,
        pad_token_id=0,
        bos_token_id=None,
    )
    tokenizer.save_pretrained(folder)
    LlamaForCausalLM(config).save_pretrained(folder)
    return str(folder)


@lru_cache
def reward_folder(outputs: int = 1, positions: int = 64) -> str:
    """A sequence classifier with BERT's architecture for pairs of texts. Each character is a token. Made once."""
    import torch
    from tokenizers import Regex, Tokenizer, models, pre_tokenizers, processors
    from transformers import BertConfig, BertForSequenceClassification, PreTrainedTokenizerFast

    special = ["[PAD]", "[UNK]", "[CLS]", "[SEP]"]
    pieces = [*special, *(chr(code) for code in range(32, 127))]
    backend = Tokenizer(models.WordLevel({piece: number for number, piece in enumerate(pieces)}, unk_token="[UNK]"))
    backend.pre_tokenizer = pre_tokenizers.Split(Regex("."), "isolated")
    backend.post_processor = processors.TemplateProcessing(
        single="[CLS] $A [SEP]", pair="[CLS] $A [SEP] $B:1 [SEP]:1", special_tokens=[("[CLS]", 2), ("[SEP]", 3)]
    )
    made = PreTrainedTokenizerFast(
        tokenizer_object=backend, pad_token="[PAD]", unk_token="[UNK]", cls_token="[CLS]", sep_token="[SEP]"
    )
    folder = tempfile.mkdtemp(prefix="tiny-reward-")
    made.save_pretrained(folder)
    torch.manual_seed(0)
    config = BertConfig(
        vocab_size=len(pieces),
        hidden_size=32,
        num_hidden_layers=2,
        num_attention_heads=4,
        intermediate_size=64,
        max_position_embeddings=positions,
        initializer_range=0.25,
        num_labels=outputs,
    )
    BertForSequenceClassification(config).save_pretrained(folder)
    return folder


@lru_cache
def chat_reward_folder() -> str:
    """A sequence classifier with GPT-2's architecture, a chat template and no padding token. Made once."""
    import torch
    from transformers import AutoTokenizer, GPT2Config, GPT2ForSequenceClassification

    folder = tempfile.mkdtemp(prefix="tiny-chat-reward-")
    made = AutoTokenizer.from_pretrained(gpt2_folder())
    made.chat_template = "{% for turn in messages %}<{{ turn['role'] }}>{{ turn['content'] }}\n{% endfor %}"
    made.save_pretrained(folder)
    torch.manual_seed(0)
    config = GPT2Config(
        vocab_size=len(made), n_positions=128, n_embd=32, n_layer=2, n_head=4, initializer_range=0.25, num_labels=1
    )
    GPT2ForSequenceClassification(config).save_pretrained(folder)
    return folder


@lru_cache
def word_vectors_folder(width: int = 16) -> str:
    """A fast sentence encoder that sums a random vector for each pair of letters. Made once."""
    import torch
    from sentence_transformers import SentenceTransformer
    from sentence_transformers.models import StaticEmbedding
    from tokenizers import Regex, Tokenizer
    from tokenizers.models import WordLevel
    from tokenizers.pre_tokenizers import Split

    letters = [chr(code) for code in range(32, 127)]
    pairs = ["[UNK]", *(one + other for one in letters for other in letters)]
    tokenizer = Tokenizer(WordLevel({pair: number for number, pair in enumerate(pairs)}, unk_token="[UNK]"))
    tokenizer.pre_tokenizer = Split(Regex(r"[\s\S]{2}"), "isolated")
    torch.manual_seed(0)
    folder = tempfile.mkdtemp(prefix="tiny-words-")
    SentenceTransformer(modules=[StaticEmbedding(tokenizer, embedding_dim=width)], device="cpu").save(folder)
    return folder
