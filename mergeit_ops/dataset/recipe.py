"""A recipe: the one that this process runs, as read by Data-Juicer, or one in a file."""

from __future__ import annotations

import os
import sys
from collections.abc import Iterable, Mapping
from dataclasses import dataclass, field
from pathlib import Path
from typing import Any, Protocol

import yaml


class RecipeOperator(Protocol):
    """One of our operators, as seen by the layers below the operators."""

    _name: str
    work_dir: str | None


@dataclass(frozen=True)
class Step:
    """One operator of a recipe.

    :param name: registry name.
    :param parameters: its parameters in the recipe, including Data-Juicer's defaults.
    """

    name: str
    parameters: Mapping[str, Any]

    @property
    def operator(self) -> type | None:
        """Return the operator's class; None if Data-Juicer does not know it."""
        from data_juicer.ops.base_op import OPERATORS

        return OPERATORS.modules.get(self.name)

    @property
    def is_ours(self) -> bool:
        """Return whether the operator declares its input rows, as all operators of MergeIT-ops do."""
        return hasattr(self.operator, "takes")


@dataclass(frozen=True)
class Recipe:
    """A recipe.

    :param steps: its operators, in order.
    :param export_path: path of the export; None if the recipe does not set it.
    :param text_keys: the columns that `text_keys` names.
    :param executor: `default`, `ray` or `ray_partitioned`.
    :param config: Data-Juicer's whole configuration, for everything else.
    """

    steps: tuple[Step, ...]
    export_path: str | None
    text_keys: tuple[str, ...]
    executor: str
    config: Any = field(repr=False, compare=False, default=None)

    @property
    def file_name(self) -> str | None:
        """Return the name of the file that holds the recipe; None if there is none."""
        files = getattr(self.config, "config", None)
        return os.path.basename(os.fspath(files[0])) if files else None

    def roles(self) -> dict[str, dict[str, Any]]:
        """Return the role of each operator of ours, by registry name.

        An operator that is in the recipe several times may drop rows if any of its entries may.
        """
        roles: dict[str, dict[str, Any]] = {}
        for step in self.steps:
            if step.is_ours:
                role = step.operator.role_in(step.parameters)  # type: ignore[union-attr]
                before = roles.get(step.name, role)
                roles[step.name] = role | {"may_drop": role["may_drop"] or before["may_drop"]}
        return roles

    def place_of(self, operator: RecipeOperator) -> int | None:
        """Return the position of an operator among the steps, from 0.

        It is known only in the driver's process, after Data-Juicer has built all operators of the recipe.

        :param operator: an operator.
        :return: None if it is not in this recipe.
        """
        entry = getattr(operator, "_op_cfg", None)
        entries = self.config.process or []
        # By identity, because a recipe may have one operator several times with equal parameters.
        return next((place for place, candidate in enumerate(entries) if candidate is entry), None)


def current_recipe(work_dir: str | None = None) -> Recipe | None:
    """Return the recipe that this process runs; None if an operator is used without one.

    :param work_dir: work dir of the calling operator. After one recipe, a process may use operators without a recipe;
        these have another work dir, or none. None: the function is called while operators are built.
    """
    config = getattr(sys.modules.get("data_juicer.config.config"), "global_cfg", None)
    if config is None or not getattr(config, "process", None):
        return None
    if work_dir is not None and getattr(config, "work_dir", None) != work_dir:
        return None
    return Recipe(
        steps=_steps(config.process),
        export_path=getattr(config, "export_path", None),
        text_keys=_names(getattr(config, "text_keys", None)),
        executor=getattr(config, "executor_type", "default"),
        config=config,
    )


def recipe_in_file(path: Path) -> Recipe | None:
    """Return a recipe as it is written, without Data-Juicer's defaults for operators; None if the file holds none.

    :param path: of the YAML file.
    """
    try:
        found = yaml.safe_load(path.read_text(encoding="utf-8"))
    except (OSError, UnicodeDecodeError, yaml.YAMLError):
        return None
    process = found.get("process") if isinstance(found, dict) else None
    if not isinstance(process, list):
        return None
    return Recipe(
        steps=_steps(entry for entry in process if isinstance(entry, dict)),
        export_path=found.get("export_path"),
        text_keys=_names(found.get("text_keys", _DEFAULT_TEXT_KEY)),
        executor=found.get("executor_type", "default"),
    )


_DEFAULT_TEXT_KEY = "text"
"""Data-Juicer's `text_keys` for a recipe that sets none."""


def _steps(process: Iterable[Mapping[str, Any]]) -> tuple[Step, ...]:
    return tuple(Step(str(name), parameters or {}) for entry in process for name, parameters in entry.items())


def _names(value: Any) -> tuple[str, ...]:
    return (value,) if isinstance(value, str) else tuple(value or ())


def recipe_and_place(operator: RecipeOperator) -> tuple[Recipe, int] | None:
    """Return the recipe that an operator runs in, and its position; None if it is used without one."""
    recipe = current_recipe(operator.work_dir)
    place = None if recipe is None else recipe.place_of(operator)
    return None if recipe is None or place is None else (recipe, place)


def is_analyzed() -> bool:
    """Return whether operators are being built for `dj-analyze`, which runs only some of them."""
    modules = {"data_juicer.core.analyzer": "Analyzer", "data_juicer.core.ray_analyzer": "RayAnalyzer"}
    runs = [getattr(sys.modules[name], cls).run.__code__ for name, cls in modules.items() if name in sys.modules]
    frame = sys._getframe(1)
    while frame is not None:
        if frame.f_code in runs:
            return True
        frame = frame.f_back  # type: ignore[assignment]
    return False
