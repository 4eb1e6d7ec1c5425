"""All errors that MergeIT-ops raises for its users, as one hierarchy.

Each holds one sentence for the author of the recipe. The sentence is the only argument, so errors can be pickled
between processes.
"""

from __future__ import annotations

import tempfile
from collections.abc import Iterator
from contextlib import contextmanager

from mergeit_ops.core.disk import is_full, unwritable
from mergeit_ops.core.text.characters import printable

__all__ = [
    "DatasetError",
    "DiskError",
    "EmbeddingError",
    "LLMError",
    "LLMUnavailableError",
    "LineageMismatchError",
    "MergeItError",
    "MissingDependencyError",
    "RecipeError",
    "ScorerError",
    "StudentError",
    "TooManyFailuresError",
    "named",
    "temporary_files",
]


class MergeItError(Exception):
    """Base of every error that MergeIT-ops raises on purpose.

    :param message: the sentence. Text in it from rows, models and servers is escaped, so that it cannot control a
        terminal.
    """

    def __init__(self, message: str = "") -> None:
        super().__init__(printable(str(message)))


class RecipeError(MergeItError, ValueError):
    """A parameter of an operator has a value that cannot work."""


class DatasetError(MergeItError, ValueError):
    """The dataset lacks something the operator needs, such as a column."""


class LineageMismatchError(DatasetError):
    """An export and the metadata beside it do not belong to the same rows."""


class DiskError(MergeItError):
    """A disk is full, or a folder cannot be written."""


class MissingDependencyError(MergeItError, ImportError):
    """The recipe needs an optional package that is not installed."""


class EmbeddingError(MergeItError):
    """The embedding model could not be loaded, or the dataset's own embeddings are unusable."""


class ScorerError(MergeItError):
    """A quality scorer could not be built, or violated its interface."""


class StudentError(MergeItError):
    """A student could not be loaded or trained."""


class LLMError(MergeItError):
    """The LLM stage had to stop."""

    reason: str = ""
    """The reason without the sentence about received answers; empty if there is no such sentence."""


class LLMUnavailableError(LLMError):
    """No answers are possible: the key is wrong, the model is unknown, or no server is listening."""


class TooManyFailuresError(LLMError):
    """More merges failed than `max_failure_ratio` allows."""


@contextmanager
def named(name: str) -> Iterator[None]:
    """Put a name before the sentence of any of these errors raised inside the block.

    :param name: name of an operator or a scorer.
    """
    try:
        yield
    except MergeItError as error:
        told = type(error)(f"{name}: {error}")
        if isinstance(told, LLMError) and isinstance(error, LLMError) and error.reason:
            told.reason = f"{name}: {error.reason}"
        raise told from error


@contextmanager
def temporary_files(what: str) -> Iterator[None]:
    """If the folder of temporary files is full, raise an error that names the folder and the remedy.

    :param what: what is written there, as the start of a sentence.
    :raises DiskError: if the folder is full.
    """
    try:
        yield
    except OSError as error:
        if not is_full(error):
            raise
        cure = unwritable(error, tempfile.gettempdir(), "set the environment variable TMPDIR to another folder")
        raise DiskError(f"{what} is written to a temporary file, but {cure}") from None
