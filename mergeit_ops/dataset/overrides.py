"""Parameters of operators on the command line, and settings of a recipe that Data-Juicer loses or repeats."""

from __future__ import annotations

import inspect
import json
import shlex
import sys
from collections.abc import Iterator, Mapping, Sequence
from pathlib import Path
from typing import Any

from mergeit_ops.dataset.recipe import Recipe, RecipeOperator, Step, current_recipe, recipe_in_file
from mergeit_ops.errors import RecipeError


def option(operator: str, parameter: str, value: Any) -> str:
    """Return the option of the command line that sets a parameter, as the shell and Data-Juicer's parser read it.

    :param operator: registry name of the operator.
    :param parameter: name of the parameter.
    :param value: its value.
    """
    return f"--{operator}.{parameter} {_shown(value)}"


def given_on_command_line(operator: RecipeOperator) -> set[str]:
    """Return the parameters of an operator that the command line sets; none if it is used without a recipe.

    :param operator: an operator.
    """
    recipe = None if operator.work_dir is None else current_recipe(operator.work_dir)
    return set() if recipe is None else {path[1] for path in _paths(_command_line()) if path[0] == operator._name}


def check_overrides(recipe: Recipe) -> None:
    """Refuse a command line that makes Data-Juicer lose settings of the recipe.

    With `--a.x 1 --b.y 2` Data-Juicer takes `x` and `y` of both operators from the command line, so `b` gets the
    default of `x` in place of the value in the recipe.

    :param recipe: the recipe that runs.
    :raises RecipeError: if a setting is lost; the sentence says what to add to the command line.
    """
    steps = _steps_of_file(getattr(recipe.config, "config", None))
    if [step.name for step in steps] != [step.name for step in recipe.steps]:
        return
    lost = list(dict.fromkeys(lost_settings(steps, recipe.steps, _command_line())))
    if lost:
        raise RecipeError(
            f"Data-Juicer loses settings of the recipe, because the command line sets parameters of the same name: "
            f"{', '.join(lost)}. Add them to the command line as they are written here, or change the recipe instead."
        )


def lost_settings(written: Sequence[Step], read: Sequence[Step], arguments: Sequence[str]) -> Iterator[str]:
    """Yield the options that would keep what is lost.

    :param written: the operators as they are in the file.
    :param read: the operators as Data-Juicer read them, in the same order.
    :param arguments: the command line.
    """
    names = {step.name for step in written}
    given = [path for path in _paths(arguments) if path[0] in names]
    own, keys = {(path[0], path[1]) for path in given}, {path[1] for path in given}
    touched = {path[0] for path in given}
    for before, after in zip(written, read, strict=True):
        for key in sorted(keys & before.parameters.keys()) if before.name in touched else ():
            value = before.parameters[key]
            if (before.name, key) not in own and _plain(after.parameters.get(key)) != value:
                yield option(before.name, key, value)


def _command_line() -> list[str]:
    module = sys.modules.get("data_juicer.config.config")
    return getattr(getattr(module, "global_parser", None), "args", None) or []


def _paths(arguments: Sequence[str]) -> list[list[str]]:
    """Return the names of options that belong to something, such as `[operator, parameter]`."""
    paths = [argument[2:].partition("=")[0].split(".") for argument in arguments if argument.startswith("--")]
    return [path for path in paths if len(path) > 1]


def warn_of_inherited(recipe: Recipe) -> list[str]:
    """Return a warning for each operator that gets parameters from an earlier entry of the same name.

    :param recipe: the recipe that runs.
    """
    steps = _steps_of_file(getattr(recipe.config, "config", None))
    if [step.name for step in steps] != [step.name for step in recipe.steps]:
        return []
    return [
        f"{step.name}: step {place + 1} of the recipe does not set {', '.join(found)}, so Data-Juicer gives it "
        f"{', '.join(f'{name}: {_shown(value)}' for name, value in found.items())} from an earlier {step.name}. Set "
        f"{', '.join(found)} in the step: to null for none, or to the same value if that is meant."
        for place, (step, found) in enumerate(zip(steps, inherited_settings(steps, recipe.steps), strict=True))
        if found
    ]


def inherited_settings(written: Sequence[Step], read: Sequence[Step]) -> Iterator[dict[str, Any]]:
    """Yield the parameters of each step that come from an earlier step of the same operator.

    :param written: the operators as they are in the file.
    :param read: the operators as Data-Juicer read them, in the same order.
    :return: maps each parameter, or each key of a mapping after a dot, to its value. A parameter that has its default
        anyway is left out.
    """
    earlier: dict[str, dict[str, Any]] = {}
    for before, after in zip(written, read, strict=True):
        given, seen = _settings(before.parameters), earlier.setdefault(before.name, {})
        got = _settings(after.parameters)
        defaults = _defaults(before)
        # A value that differs comes from elsewhere, such as the command line.
        yield {
            name: value
            for name, value in seen.items()
            if name not in given and got.get(name) == value and (name not in defaults or defaults[name] != value)
        }
        seen.update(given)


def _settings(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return parameters with the keys of mappings after a dot."""
    found: dict[str, Any] = {}
    for name, given in parameters.items():
        value = _plain(given)
        found |= {f"{name}.{key}": item for key, item in value.items()} if isinstance(value, dict) else {name: value}
    return found


def _defaults(step: Step) -> dict[str, Any]:
    """Return the defaults of an operator's parameters; empty if Data-Juicer does not know the operator."""
    classes = () if step.operator is None else step.operator.__mro__
    found: dict[str, Any] = {}
    for one in classes:
        if "__init__" in one.__dict__:
            for name, parameter in inspect.signature(one.__dict__["__init__"]).parameters.items():
                found.setdefault(name, parameter.default)
    return found


def _shown(value: Any) -> str:
    if value is None:
        return "null"
    return shlex.quote(json.dumps(value, ensure_ascii=False) if isinstance(value, (Mapping, list)) else str(value))


def _plain(value: Any) -> Any:
    if isinstance(value, Mapping):
        return {name: _plain(item) for name, item in value.items()}
    # jsonargparse makes namespaces of mappings.
    return {name: _plain(item) for name, item in vars(value).items()} if hasattr(value, "__dict__") else value


def _steps_of_file(paths: Any) -> Sequence[Step]:
    if not isinstance(paths, list) or len(paths) != 1:
        return ()
    recipe = recipe_in_file(Path(str(paths[0])))
    return () if recipe is None else recipe.steps
