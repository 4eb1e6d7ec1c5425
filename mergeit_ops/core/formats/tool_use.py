"""The tools of a row, and the calls and results in its turns, in every layout."""

from __future__ import annotations

import json
import re
from collections.abc import Iterator, Mapping, Sequence
from typing import Any

from mergeit_ops.core.formats.content import is_empty
from mergeit_ops.core.formats.marks import holds_tool_call
from mergeit_ops.core.formats.tool_calls import calls_in_text, calls_in_value, elements, parsed, without_nulls
from mergeit_ops.core.formats.traces import part_trace
from mergeit_ops.core.formats.turns import Turn, known_turns
from mergeit_ops.core.formats.vocabulary import speaks_of_calls, speaks_of_tools, words_of
from mergeit_ops.core.tool_use import Call, PlainTurn, Tool, ToolResult, ToolUse

__all__ = ["read_tool_use"]

_SCHEMAS = ("parameters", "input_schema", "inputSchema", "parameters_json_schema", "args_schema")
_TAGS_OF_TOOLS = {
    re.compile("<(tools)>"): "</tools>",
    re.compile("<(functions)>"): "</functions>",
    re.compile("<(available_tools)>"): "</available_tools>",
}
_SIGN_OF_TOOL = re.compile(r"""["'](?:parameters|input_schema)["']\s*:""")
_BRACKET = re.compile(r"[\[{]")
_MOST_TRIED = 64  # brackets in a text at which the JSON of tools may start
_RESULT_TAGS = re.compile(r"<(tool_response|tool_result|function_response|function_results?)>", re.IGNORECASE)
_OF_LISTS = (("definitions",), ("schemas",))
_ID_FIELDS = ("tool_call_id", "tool_use_id", "call_id", "function_call_id")
_CALL_PARTS = ("tool_use", "tool_call", "function_call", "server_tool_use")
_RESULT_PARTS = ("tool_result", "tool_response", "function_call_output")


def read_tool_use(given: Sequence[Any], beside: Mapping[str, Any]) -> ToolUse:
    """Return the tools of a row and how it uses them.

    Tools are in a column such as `tools`, in the arguments of the chat template, in a field of a turn, or in the system
    prompt. Calls are in a field of a turn (`tool_calls`, `function_call`), in a turn of a speaker with that name, in a
    part of the content, or in the text of an answer. Calls in a reasoning trace do not count.

    :param given: the turns of the row.
    :param beside: the columns besides the turns; see `only_beside`.
    """
    try:
        return _tool_use(known_turns(given), beside)
    except RecursionError:  # deeply nested lists and mappings
        return ToolUse(unread="unreadable_call")


def _tool_use(turns: Sequence[Turn], beside: Mapping[str, Any]) -> ToolUse:
    declared = [value for name, value in beside.items() for value in _declared(name, value)]
    declared += [value for turn in turns for name, value in turn.further_fields.items() if _is_of_tools(name)]
    tools, unread = [], ""
    for value in declared:
        found = _tools_in(value)
        tools += found
        if not found:
            unread = "unreadable_tools"
    if not tools:
        tools = [tool for turn in turns if turn.speaker != "assistant" for tool in _tools_in_text(turn.content.text)]
    events: list[Call | ToolResult | PlainTurn] = []
    for turn in turns:
        if turn.speaker != "system":
            happens = list(_events(turn))
            if any(event == _UNREAD for event in happens):
                unread = unread or "unreadable_call"
            events += [event for event in happens if event != _UNREAD]
    return ToolUse(tuple(dict.fromkeys(tools)), tuple(events), unread)


_UNREAD = Call("", "")
"""A placeholder for a call in an unknown form."""


def _is_of_tools(name: str) -> bool:
    """Return whether a name refers to a list of tools, and not to their calls, choice or results."""
    last = words_of(name)[-1:]
    return speaks_of_tools(name) and not speaks_of_calls(name) and (speaks_of_tools(*last) or last in _OF_LISTS)


def _declared(name: str, value: Any) -> Iterator[Any]:
    if is_empty(value):
        return
    if name.lower().startswith("chat_template"):
        arguments = parsed(value) if isinstance(value, str) else value
        if isinstance(arguments, Mapping):
            for inner, item in arguments.items():
                if _is_of_tools(str(inner)) and not is_empty(item):
                    yield item
    elif _is_of_tools(name) and not isinstance(value, (bool, int, float)):
        yield value


def _tools_in(value: Any) -> list[Tool]:
    """Return the tools of a value: a list of tools, a single tool, or either as text. The list may hold JSON texts."""
    if isinstance(value, str):
        read = parsed(value)
        if read is not None:
            return _tools_in(read)
        lines = [parsed(line) for line in value.splitlines() if line.strip()]
        return [tool for line in lines if isinstance(line, Mapping) for tool in _tools_in(line)]
    if isinstance(value, (list, tuple)):
        return [tool for item in value if item is not None for tool in _tools_in(item)]
    if not isinstance(value, Mapping):
        return []
    if isinstance(value.get("function"), Mapping):
        return _tools_in(value["function"])
    declarations = value.get("function_declarations") or value.get("functionDeclarations")
    if isinstance(declarations, (list, tuple)):
        return _tools_in(declarations)
    name = value.get("name")
    if not isinstance(name, str) or not name.strip():
        return []
    schema = next((value[key] for key in _SCHEMAS if not is_empty(value.get(key))), None)
    return [Tool(name.strip(), _schema_text(schema))]


def _schema_text(schema: Any) -> str:
    if schema is None:
        return ""
    if isinstance(schema, str):
        return schema
    try:
        return json.dumps(without_nulls(schema), sort_keys=True, default=repr)
    except (RecursionError, ValueError, TypeError):
        return "null"  # not a schema, which the check reports


def _tools_in_text(text: str) -> list[Tool]:
    """Return the tools in a text, such as a prompt for models without a template for tools."""
    found = [
        tool
        for opens, ends in _TAGS_OF_TOOLS.items()
        for _, inside in elements(text, opens, ends)
        for tool in _tools_in(inside.strip())
    ]
    if found or _SIGN_OF_TOOL.search(text) is None:
        return found
    decoder = json.JSONDecoder()
    position = tried = 0
    while tried < _MOST_TRIED and (begin := _BRACKET.search(text, position)) is not None:
        tried += 1
        try:
            value, position = decoder.raw_decode(text, begin.start())
        except (ValueError, RecursionError):
            position = begin.end()
            continue
        found += [tool for tool in _tools_in(value) if tool.schema]
    return found


def _events(turn: Turn) -> Iterator[Call | ToolResult | PlainTurn]:
    fields = turn.further_fields
    content = turn.fields.get(turn.text_field)
    parts = [part for part in content if isinstance(part, Mapping)] if isinstance(content, (list, tuple)) else []
    for part in parts:
        if part.get("type") in _RESULT_PARTS:
            yield ToolResult(_id_of(part), "", 1)
    text = turn.content.text
    if turn.speaker == "tool" and not (_calls_itself(turn) and not _id_of(fields)):
        name = fields.get("name")
        blocks = len(_RESULT_TAGS.findall(text))
        count = blocks or (1 if _id_of(fields) or isinstance(name, str) else None)
        yield ToolResult(_id_of(fields), name if isinstance(name, str) else "", count)
        return
    if turn.speaker == "tool":
        yield from calls_in_value(turn.fields.get(turn.text_field))
        return
    if turn.speaker == "user" and (blocks := len(_RESULT_TAGS.findall(text))):
        # Some templates have no speaker for tool results.
        yield ToolResult(number=blocks)
        return
    if turn.speaker == "user":
        if text.strip():
            yield PlainTurn()
        return
    calls: list[Call] = [call for part in parts if part.get("type") in _CALL_PARTS for call in calls_in_value(part)]
    for name, value in fields.items():
        if speaks_of_calls(name) and "id" not in words_of(name):
            calls += calls_in_value(value)
    answer = part_trace(text).answer
    if not calls and holds_tool_call(answer):
        calls = calls_in_text(answer) or [_UNREAD]
    if answer.strip():
        yield PlainTurn()
    yield from calls


def _calls_itself(turn: Turn) -> bool:
    """Return whether a turn is a call, by a speaker such as `function_call`, and not a tool's result."""
    return speaks_of_calls(turn.fields[turn.role_field].replace("-", "_").strip("<|>:"))


def _id_of(fields: Mapping[str, Any]) -> str:
    return next((str(fields[name]) for name in _ID_FIELDS if not is_empty(fields.get(name))), "")
