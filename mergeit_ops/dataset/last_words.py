"""Sentences after the traceback of an error that Data-Juicer, Ray or the system raised, and that does not say what to
do."""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Sequence
from contextlib import suppress
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
        # A second traceback, of the explanation, would follow the one that matters.
        with suppress(Exception):
            if (sentences := _explanation(error)) is not None:
                logger.error(sentences)

    return explain


def _explanation(error: BaseException) -> str | None:
    causes = list(_causes(error))
    # Ctrl-C needs no explanation, whatever it interrupted.
    if not isinstance(error, Exception) or any(isinstance(cause, MergeItError) for cause in causes):
        return None
    return next(filter(None, (explainer(causes) for explainer in _explainers)), None)


def _causes(error: BaseException | None) -> Iterator[BaseException]:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        yield error
        seen.add(id(error))
        # Ray keeps the error of a task in `cause`; other libraries may keep anything there.
        links = (getattr(error, "cause", None), error.__cause__, error.__context__)
        error = next((link for link in links if isinstance(link, BaseException)), None)
