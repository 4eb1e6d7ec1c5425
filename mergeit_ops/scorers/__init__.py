"""Scorers of rows: one file each, behind one small Protocol, looked up by name."""

from __future__ import annotations

import importlib
import inspect
import os
import sys
from collections.abc import Iterator, Mapping
from contextlib import contextmanager, nullcontext, suppress
from typing import Any

from mergeit_ops.core.scoring.score import Score
from mergeit_ops.errors import RecipeError, ScorerError
from mergeit_ops.scorers.base import (
    MeasuringScorer,
    NamedScorer,
    PayingScorer,
    PlanningScorer,
    ReportingScorer,
    RowScorer,
)
from mergeit_ops.scorers.scoring import compared_scores

__all__ = [
    "SCORERS",
    "MeasuringScorer",
    "NamedScorer",
    "PayingScorer",
    "PlanningScorer",
    "ReportingScorer",
    "RowScorer",
    "Score",
    "build_scorer",
    "compared_scores",
]

SCORERS: Mapping[str, str] = {
    "distilled": "mergeit_ops.scorers.distilled:DistilledScorer",
    "deita": "mergeit_ops.scorers.deita:DeitaScorer",
    "deita_api": "mergeit_ops.scorers.deita_api:DeitaApiScorer",
    "llm_judge": "mergeit_ops.scorers.llm_judge:LLMJudgeScorer",
    "cascade": "mergeit_ops.scorers.cascade:CascadeScorer",
    "response_loss": "mergeit_ops.scorers.response_loss:ResponseLossScorer",
    "response_loss_api": "mergeit_ops.scorers.response_loss_api:ResponseLossApiScorer",
    "prompt_uncertainty": "mergeit_ops.scorers.prompt_uncertainty:PromptUncertaintyScorer",
    "selectit": "mergeit_ops.scorers.selectit:SelectitScorer",
    "selectit_api": "mergeit_ops.scorers.selectit_api:SelectitApiScorer",
    "reward_model": "mergeit_ops.scorers.reward_model:RewardModelScorer",
    "reasoning_trace": "mergeit_ops.scorers.reasoning_trace:ReasoningTraceScorer",
    "tool_call_check": "mergeit_ops.scorers.tool_call_check:ToolCallCheck",
}
"""Maps the name in a recipe to `module:Class`. To add a scorer, add one file and one line here."""


def build_scorer(
    name: str, params: Mapping[str, Any] | None = None, registry: Mapping[str, str] = SCORERS, **defaults: Any
) -> Any:
    """Return a scorer.

    :param name: a name in the registry, or the import path `package.module:Class` of your own class with the method
        `score` of the `RowScorer` Protocol or the methods of the `PoolScorer` Protocol.
    :param params: keyword arguments of its class. A None that the class does not take is ignored: if an operator is in
        a recipe twice, Data-Juicer passes the params of the first on to the second, and None there cancels them.
    :param registry: `SCORERS` or `POOL_SCORERS`.
    :param defaults: keyword arguments, such as `device`, that are passed if the class takes them and `params` does not
        hold them.
    :raises RecipeError: if there is no scorer of this name, or it does not take these parameters.
    :raises ScorerError: if it cannot be built.
    """
    factory = _find(name, registry)
    given = dict(params or {})
    try:
        accepted = inspect.signature(factory).parameters
        takes_any = any(parameter.kind is parameter.VAR_KEYWORD for parameter in accepted.values())
        given = {key: value for key, value in given.items() if value is not None or key in accepted}
        given = {key: value for key, value in defaults.items() if takes_any or key in accepted} | given
        inspect.signature(factory).bind(**given)
    except TypeError as error:
        raise RecipeError(
            f"scorer_params do not fit the scorer '{name}': {error}. If the operator stands in the recipe more than "
            "once, Data-Juicer adds the scorer_params of the earlier one; set one of them to null to cancel it."
        ) from error
    scorer = factory(**given)
    if not callable(getattr(scorer, "score", None)):
        raise ScorerError(f"the scorer '{name}' has no method score(samples)")
    return scorer


def _find(name: str, registry: Mapping[str, str]) -> Any:
    path = registry.get(name, name)
    module_name, separator, class_name = path.partition(":")
    if not separator:
        known = ", ".join(repr(known) for known in registry)
        raise RecipeError(f"scorer must be one of {known}, or an import path 'package.module:Class', got '{name}'")
    try:
        with nullcontext() if name in registry else _current_folder():
            return getattr(importlib.import_module(module_name), class_name)
    except Exception as error:  # a user's module may raise anything
        raise RecipeError(
            f"the scorer '{name}' could not be imported ({type(error).__name__}: {error}); its module must be in the "
            "current folder, on PYTHONPATH, or installed"
        ) from error


@contextmanager
def _current_folder() -> Iterator[None]:
    """Find modules in the current folder, after all others, inside this context.

    `dj-process` searches only its installation, and `python -m` also the current folder. With this, both find the
    scorer. Other imports must not find modules of the current folder.
    """
    folder = os.getcwd()
    if folder in sys.path:
        yield
        return
    sys.path.append(folder)
    importlib.invalidate_caches()
    try:
        yield
    finally:
        with suppress(ValueError):
            sys.path.remove(folder)
