"""Read tool calls in a field of a turn or in the text of an answer."""

from __future__ import annotations

import ast
import json
import re
import warnings
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mergeit_ops.core.formats.content import is_empty
from mergeit_ops.core.tool_use import Call

__all__ = ["calls_in_text", "calls_in_value", "elements", "parsed", "without_nulls"]

_NAMES = ("name", "function_name", "tool_name", "tool", "function", "action", "api", "recipient_name")
_ARGUMENTS = ("arguments", "parameters", "args", "input", "kwargs", "tool_input", "action_input")
_IDS = ("id", "call_id", "tool_call_id", "tool_use_id")
_DEEPEST = 200  # nesting of lists and mappings

_TAGGED = re.compile(
    r"<(?P<tag>tool_calls?|function_?calls?)>(?P<inside>.*?)(?:</(?P=tag)>|(?=<(?P=tag)>)|(?=<\|)|\Z)",
    re.DOTALL | re.IGNORECASE,
)
_BEHIND = re.compile(r"(?:\[TOOL_CALLS\]|<[|｜]tool_call[|｜]>|<[|｜]python_tag[|｜]>)\s*")
_FORMS = (
    (re.compile(r"<function=([^<>\s]{1,200})>"), "</function>", re.compile(r"<parameter=([^<>\s]{1,200})>")),
    (
        re.compile(r'<invoke name="([^"<>]{1,200})">'),
        "</invoke>",
        re.compile(r'<parameter name="([^"<>]{1,200})"[^<>]*>'),
    ),
)
"""The opening and closing tags of a call, and the opening tags of its parameters."""
_ARGUMENT = re.compile(r"<arg_key>([^<>]{1,200})</arg_key>\s*<arg_value>")
_BRACKETED = re.compile(r"^[ \t]*(\[[ \t]*[A-Za-z_][\w.\-]*\([^\n]*\)[ \t]*\])[ \t\r]*$", re.MULTILINE)
_JSON_BEGINS = re.compile(r"[\s,;]*(?=[\[{])")
_FENCE = re.compile(r"^[ \t]*```.*?^[ \t]*```", re.MULTILINE | re.DOTALL)


def calls_in_value(value: Any, call_id: str = "") -> list[Call]:
    """Return the calls in a field of a turn, or in a whole text.

    :param value: a call as a mapping, a list of calls, or either as text: in JSON, in Python's notation, or as a Python
        call (`f(x=1)`). A call that cannot be read has no arguments.
    :param call_id: id of a call that has no own id.
    """
    if is_empty(value):
        return []
    if isinstance(value, str):
        read = parsed(value)
        if isinstance(read, (Mapping, list)):
            return calls_in_value(read, call_id)
        return _python_calls(value) or [Call("", None, call_id)]
    if isinstance(value, (list, tuple)):
        return [call for item in value for call in calls_in_value(item)]
    if not isinstance(value, Mapping):
        return [Call("", None, call_id)]
    call_id = next((str(value[name]) for name in _IDS if not is_empty(value.get(name))), call_id)
    inner = value.get("function")
    if isinstance(inner, Mapping):
        return calls_in_value({name: item for name, item in inner.items() if name not in _IDS}, call_id)
    called = next((value[name] for name in _NAMES if isinstance(value.get(name), str) and value[name].strip()), "")
    given = next((value[name] for name in _ARGUMENTS if value.get(name) is not None), None)
    return [Call(called.strip(), _arguments(given), call_id)]


def calls_in_text(text: str) -> list[Call]:
    """Return the calls in the text of an answer, in order within each form.

    Forms: tags with JSON or with parameters in tags (`<tool_call>`, `<functioncall>`, `<function=f>`, `<invoke>`), JSON
    after a mark (`[TOOL_CALLS]`, `<|tool_call|>`, `<|python_tag|>`), a line of Python calls in brackets, and an answer
    that is only the JSON of calls.

    :param text: an answer, without its reasoning trace.
    """
    if "<" in text or "[TOOL_CALLS]" in text:
        found = [call for part in _TAGGED.finditer(text) for call in _tagged_calls(part["inside"])]
        found = found or _calls_in_tags(text)
        for mark in _BEHIND.finditer(text) if not found else ():
            found += _json_behind(text, mark.end())
        if found:
            return found
    whole = text.strip()
    if whole.startswith(("[", "{")):
        read = parsed(whole)
        items = read if isinstance(read, list) else [read]
        if items and all(_looks_like_a_call(item) for item in items):
            return calls_in_value(read)
    if "[" not in text or ")" not in text:
        return []
    return [call for line in _BRACKETED.findall(_FENCE.sub("", text)) for call in _python_calls(line)]


def elements(text: str, opens: re.Pattern[str], ends: str) -> Iterator[tuple[str, str]]:
    """Yield the content of tags, in linear time: the first group of the opening tag, and the text up to the closing
    tag.

    :param text: any text.
    :param opens: the opening tag, with a group.
    :param ends: the closing tag.
    """
    position = 0
    while (begin := opens.search(text, position)) is not None:
        end = text.find(ends, begin.end())
        if end < 0:
            return
        yield begin[1], text[begin.end() : end]
        position = end + len(ends)


def parsed(text: str) -> Any:
    """Return the value of a text in JSON or in Python's notation; None if it is neither."""
    try:
        return _json(text)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unknown escape sequences
            return ast.literal_eval(text.strip())
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def without_nulls(value: Any, depth: int = 0) -> Any:
    """Return a value without the nulls in its mappings, with which Arrow fills the keys of other rows.

    :raises RecursionError: if it is nested too deeply.
    """
    if depth > _DEEPEST:
        raise RecursionError("too many lists and mappings in each other")
    if isinstance(value, Mapping):
        return {str(name): without_nulls(item, depth + 1) for name, item in value.items() if item is not None}
    if isinstance(value, (list, tuple)):
        return [without_nulls(item, depth + 1) for item in value]
    return value


def _refuse(constant: str) -> Any:
    raise ValueError(f"{constant} is no JSON")


def _json(text: str) -> Any:
    return json.loads(text, parse_constant=_refuse)


def _arguments(value: Any) -> str | None:
    """Return arguments as the text of a JSON object; None if they are not an object."""
    if value is None or (isinstance(value, str) and not value.strip()):
        return "{}"
    try:
        if isinstance(value, str):
            return value if isinstance(_json(value), dict) else None
        return json.dumps(without_nulls(value), allow_nan=False) if isinstance(value, Mapping) else None
    except (ValueError, RecursionError, TypeError):
        return None


def _looks_like_a_call(item: Any) -> bool:
    if not isinstance(item, Mapping):
        return False
    function = item.get("function")
    inner = function if isinstance(function, Mapping) else item
    return any(isinstance(inner.get(name), str) for name in _NAMES) and any(name in inner for name in _ARGUMENTS)


def _tagged_calls(inside: str) -> list[Call]:
    """Return the calls in a tag: JSON of one or several calls, one after the other, or further tags."""
    if "<" in inside and not inside.lstrip().startswith(("{", "[")):
        if found := _calls_in_tags(inside):
            return found
        if pairs := list(elements(inside, _ARGUMENT, "</arg_value>")):
            return [Call(inside.partition("<")[0].strip(), _from_texts(pairs))]
    calls = _json_behind(inside, 0)
    return calls or calls_in_value(inside.strip()) or [Call("", None)]


def _calls_in_tags(text: str) -> list[Call]:
    found = []
    for opens, ends, parameter in _FORMS:
        for name, inside in elements(text, opens, ends):
            values = list(elements(inside, parameter, "</parameter>"))
            found.append(Call(name, _from_texts(values) if values else _arguments(inside)))
    return found


def _from_texts(pairs: Sequence[tuple[str, str]]) -> str:
    """Return arguments that are written as text; texts in JSON, such as numbers, become JSON values."""
    values = {}
    for name, text in pairs:
        try:
            values[name.strip()] = _json(text)
        except (ValueError, RecursionError):
            values[name.strip()] = text.strip("\n")
    return json.dumps(values)


def _json_behind(text: str, start: int) -> list[Call]:
    return [call for value in _json_values(text, start) for call in calls_in_value(value)]


def _json_values(text: str, start: int) -> Iterator[Any]:
    """Yield successive JSON values, up to the first text that is not JSON."""
    decoder = json.JSONDecoder(parse_constant=_refuse)
    while (match := _JSON_BEGINS.match(text, start)) is not None:
        try:
            value, start = decoder.raw_decode(text, match.end())
        except (ValueError, RecursionError):
            return
        yield value


def _python_calls(text: str) -> list[Call]:
    """Return calls in Python, such as `f(x=1)`, or several in brackets; empty for other text."""
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unknown escape sequences
            tree: ast.expr = ast.parse(text.strip(), mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return []
    items = tree.elts if isinstance(tree, (ast.List, ast.Tuple)) else [tree]
    if not all(isinstance(item, ast.Call) for item in items):
        return []
    return [_python_call(item) for item in items if isinstance(item, ast.Call)]


def _python_call(call: ast.Call) -> Call:
    name = ast.unparse(call.func)
    try:
        values = {word.arg: ast.literal_eval(word.value) for word in call.keywords}
        if call.args or None in values:
            return Call(name, None)
        return Call(name, json.dumps(values, allow_nan=False))
    except (ValueError, TypeError, RecursionError, MemoryError):
        return Call(name, None)
