"""Sentences after the traceback of an error that Data-Juicer, Ray or the system raised, and that does not say what to
do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from types import TracebackType
from typing import Any

from loguru import logger

from mergeit_ops.errors import MergeItError

__all__ = ["explain_failures"]

Explainer = Callable[[Sequence[BaseException]], str | None]

_explainers: list[Explainer] = []


def explain_failures(explain: Explainer) -> None:
    """If this process ends with an error of others, log an explanation behind its traceback.

    :param explain: function that gets the error and its causes, and returns sentences; None if it knows nothing about
        them. The first explanation counts.
    """
    if not _explainers:
        sys.excepthook = _explaining(sys.excepthook)
    if explain not in _explainers:
        _explainers.append(explain)


def _explaining(
    show: Callable[[type[BaseException], BaseException, TracebackType | None], Any],
) -> Callable[[type[BaseException], BaseException, TracebackType | None], Any]:
    def explain(kind: type[BaseException], error: BaseException, trace: TracebackType | None) -> None:
        show(kind, error, trace)
        causes = list(_causes(error))
        if any(isinstance(cause, MergeItError) for cause in causes):
            return
        if (sentences := next(filter(None, (explainer(causes) for explainer in _explainers)), None)) is not None:
            logger.error(sentences)

    return explain


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while isinstance(error, BaseException) and id(error) not in seen:
        yield error
        seen.add(id(error))
        # Ray keeps the error of a task in `cause`.
        error = getattr(error, "cause", None) or error.__cause__ or error.__context__
