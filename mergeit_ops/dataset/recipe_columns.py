"""Find the columns that the rest of a recipe reads, which therefore need a value."""

from __future__ import annotations

import ast
import inspect
import json
import re
from collections.abc import Collection, Iterator, Mapping, Sequence
from typing import Any

import pyarrow as pa

from mergeit_ops.dataset.key_reading import default_column, keys_read
from mergeit_ops.dataset.recipe import Recipe, Step
from mergeit_ops.errors import RecipeError

_NAMES_COLUMNS = re.compile(r"_keys?$|_columns?$|field")
_IS_CODE = re.compile(r"lambda|condition")


def columns_read_after(recipe: Recipe, place: int, columns: Collection[str]) -> dict[str, str]:
    """Return which columns `text_keys` names or the operators after a place in a recipe read.

    :param recipe: the recipe.
    :param place: position of an operator.
    :param columns: columns of the dataset.
    :return: maps each column to the parameter that names it, in words.
    """
    found: dict[str, list[str]] = {}
    for name in recipe.text_keys:
        if (column := column_of(name, columns)) is not None:
            found.setdefault(column, []).append("text_keys of the recipe")
    for step in recipe.steps[place + 1 :]:
        if _accepts_null(step):
            continue
        for column, parameter in _columns_of(step, columns, recipe.text_keys[:1]):
            found.setdefault(column, []).append(f"{parameter} of {step.name}")
    return {column: " and ".join(dict.fromkeys(readers)) for column, readers in found.items()}


def reader_of_moved(recipe: Recipe, place: int, column: str) -> str | None:
    """Return what reads a column after an operator that removes it, in words; None if nothing does.

    An operator of Data-Juicer would raise on every row, and Data-Juicer might drop all rows and end with exit code 0.

    :param recipe: the recipe.
    :param place: position of the operator.
    :param column: the column.
    """
    from data_juicer.ops.base_op import Mapper

    for step in recipe.steps[place + 1 :]:
        for _, parameter in _columns_of(step, [column], recipe.text_keys[:1]):
            return f"{parameter} of {step.name}"
        if step.operator is None or (issubclass(step.operator, Mapper) and not step.is_ours):
            # It may write the column.
            return None
    return None


def columns_needed(recipe: Recipe, known: Collection[str]) -> set[str]:
    """Return the columns that the operators of a recipe name or mention, apart from `text_keys`.

    A column that an earlier operator writes is not needed.

    :param recipe: the recipe, as it is written.
    :param known: the names that may be columns of a dataset.
    """
    needed: set[str] = set()
    written: set[str] = set()
    for step in recipe.steps:
        # Where a step names no `text_key`, Data-Juicer gives it the first of `text_keys`.
        read = {column for column, key in _columns_of(step, known, ()) if key != "text_key" or key in step.parameters}
        needed |= read - written
        written |= columns_written(step)
    return needed


def reads_text(recipe: Recipe) -> bool:
    """Return whether an operator of Data-Juicer reads text from the first column of `text_keys`.

    :param recipe: the recipe, as it is written.
    """
    from data_juicer.ops.base_op import Deduplicator, Filter, Mapper
    from data_juicer.utils.constant import HashKeys

    written: set[str] = set()
    for step in recipe.steps:
        if not step.is_ours and step.operator is not None and "text_key" not in step.parameters:
            # A deduplicator takes a hash that a row has, and then reads no text.
            hashes = issubclass(step.operator, Deduplicator) and HashKeys.hash not in written
            if (hashes or issubclass(step.operator, (Filter, Mapper))) and "text_key" in keys_read(step.operator):
                return True
        written |= columns_written(step)
    return False


def columns_written(step: Step) -> set[str]:
    """Return the columns that the expressions among an operator's parameters write, such as `text` in
    `lambda row: {**row, 'text': ''}`."""
    found: set[str] = set()
    for parameter, value in step.parameters.items():
        tree = _parsed(value) if _IS_CODE.search(parameter) and isinstance(value, str) else None
        dicts = (node for node in ast.walk(tree) if isinstance(node, ast.Dict)) if tree is not None else ()
        keys = (key.value for node in dicts for key in node.keys if isinstance(key, ast.Constant))
        found.update(key for key in keys if isinstance(key, str))
    return found


def _accepts_null(step: Step) -> bool:
    """Return whether an operator's parameters accept null, such as a `target_value` of `[book, null]`."""
    return any(isinstance(value, (list, tuple)) and None in value for value in step.parameters.values())


def check_text_columns(recipe: Recipe, place: int, types: Mapping[str, pa.DataType]) -> None:
    """Refuse text operators of Data-Juicer after a place whose column holds lists or structs.

    Such an operator raises on every row, and Data-Juicer then drops all rows and ends with exit code 0.

    :param recipe: the recipe.
    :param place: position of one of our operators.
    :param types: columns of the flat rows at this place, and their types.
    :raises RecipeError: if there is one; the error names the operator, the column and the remedy.
    """
    from data_juicer.ops.base_op import Filter, Mapper

    for step in recipe.steps[place + 1 :]:
        operator = step.operator
        if step.is_ours:
            continue
        if operator is None:
            return
        if issubclass(operator, (Filter, Mapper)) and "text_key" in keys_read(operator):
            name = step.parameters.get("text_key") or default_column("text_key")
            column = column_of(name, types)
            kind = None if column is None else _type_at(types[column], path_inside(name, types))
            if kind is not None and pa.types.is_nested(kind):
                raise RecipeError(
                    f"{step.name}: it reads text, but its text_key names the column '{name}', which holds values of "
                    f"type {kind}. It would fail on every row, and Data-Juicer would drop all of them. Give it a "
                    "text_key that names a column of text, or remove it from the recipe."
                )
        elif issubclass(operator, Mapper):
            # It may return other columns, or other types.
            return


def _type_at(kind: pa.DataType, path: Sequence[str]) -> pa.DataType | None:
    for key in path:
        if not pa.types.is_struct(kind) or kind.get_field_index(key) < 0:
            return None
        kind = kind.field(key).type
    return kind


def column_of(name: str, columns: Collection[str]) -> str | None:
    """Return the column to which a name refers, such as `meta` for `meta.lang`; None if there is none."""
    if name in columns:
        return name
    # Like Data-Juicer for nested values: the longest column name before a dot.
    parts = name.split(".")
    heads = (".".join(parts[:count]) for count in range(len(parts) - 1, 0, -1))
    return next((head for head in heads if head in columns), None)


def path_inside(name: str, columns: Collection[str]) -> tuple[str, ...]:
    """Return the keys that lead from the column of a name to its value; empty for the column itself.

    :param name: name of a column, or of a value inside one.
    :param columns: columns of the dataset.
    """
    column = column_of(name, columns)
    return () if column in (name, None) else tuple(name[len(str(column)) + 1 :].split("."))


def value_at(value: Any, path: Sequence[str]) -> tuple[bool, Any]:
    """Return whether a value has another value at a path inside it, and the inner value.

    :param value: value of a column; JSON text is parsed.
    :param path: of `path_inside`.
    """
    for key in path:
        if isinstance(value, str):
            try:
                value = json.loads(value)
            except ValueError:
                return False, None
        if not isinstance(value, Mapping) or key not in value:
            return False, None
        value = value[key]
    return True, value


def type_has(kind: pa.DataType, path: Sequence[str]) -> bool | None:
    """Return whether values of a type have a value at a path; None if only the values can tell.

    :param kind: type of a column.
    :param path: of `path_inside`.
    """
    for key in path:
        if pa.types.is_struct(kind):
            if kind.get_field_index(key) < 0:
                return False
            kind = kind.field(key).type
        else:
            # JSON is stored as text, or as an extension type.
            holds_text = pa.types.is_string(kind) or pa.types.is_large_string(kind)
            return None if holds_text or isinstance(kind, pa.BaseExtensionType) else False
    return True


def _columns_of(step: Step, columns: Collection[str], default_text_keys: Collection[str]) -> Iterator[tuple[str, str]]:
    """Yield the columns that an operator reads, each with the parameter that names it."""
    operator = step.operator
    # Our operators read the columns of the layout, whatever Data-Juicer's keys are.
    keys = frozenset() if operator is None or step.is_ours else keys_read(operator)
    for parameter, value in {**_defaults(operator), **step.parameters}.items():
        given_to_all = parameter in _GIVEN_TO_ALL or (parameter == "text_key" and value in default_text_keys)
        if given_to_all and parameter not in keys:
            continue
        if _NAMES_COLUMNS.search(parameter):
            for name in _texts(value):
                if (column := column_of(name, columns)) is not None:
                    yield column, parameter
        elif _IS_CODE.search(parameter) and isinstance(value, str):
            for column in columns:
                if _mentions(value, column):
                    yield column, parameter
    for key in keys:
        if step.parameters.get(key) is None and (column := column_of(default_column(key), columns)) is not None:
            yield column, key


_GIVEN_TO_ALL = ("image_key", "audio_key", "video_key", "image_bytes_key")
"""Keys that Data-Juicer writes into the parameters of every operator of a recipe, as it does with `text_key`."""


def _defaults(operator: type | None) -> Mapping[str, Any]:
    if operator is None:
        return {}
    parameters = inspect.signature(operator.__init__).parameters.values()  # type: ignore[misc]
    return {
        parameter.name: parameter.default
        for parameter in parameters
        if parameter.default not in (inspect.Parameter.empty, None)
    }


def _texts(value: Any) -> Iterator[str]:
    if isinstance(value, str):
        yield value
    elif isinstance(value, Mapping):
        for key, item in value.items():
            yield from _texts(key)
            yield from _texts(item)
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _texts(item)


def _mentions(code: str, column: str) -> bool:
    """Return whether an expression reads a column; `{**row, 'text': ...}` only writes it."""
    if not re.search(rf"(?<!\w){re.escape(column)}(?!\w)", code):
        return False
    tree = _parsed(code)
    if tree is None:
        return True
    written = {id(key) for node in ast.walk(tree) if isinstance(node, ast.Dict) for key in node.keys if key}
    # The names in a lambda are its own variables; the names in a condition are columns.
    names_are_columns = not isinstance(tree.body, ast.Lambda)
    return any(_names(node, column, names_are_columns) for node in ast.walk(tree) if id(node) not in written)


def _parsed(code: str) -> ast.Expression | None:
    try:
        return ast.parse(code.strip(), mode="eval")
    except (SyntaxError, ValueError):
        return None


def _names(node: ast.AST, column: str, names_are_columns: bool) -> bool:
    if isinstance(node, ast.Constant):
        return isinstance(node.value, str) and bool(re.search(rf"(?<!\w){re.escape(column)}(?!\w)", node.value))
    if isinstance(node, ast.Attribute):
        return ast.unparse(node) == column
    return names_are_columns and isinstance(node, ast.Name) and node.id == column
