"""Marks inside a text that say it is more than a text: reasoning traces and tool calls written out."""

from __future__ import annotations

import ast
import re
import warnings

_REASONING_TAGS = (
    *("think", "thinking", "thought", "thoughts", "thought_process", "thinking_process"),
    *("reasoning", "reasoning_content", "internal_reasoning", "inner_thoughts", "inner_monologue"),
    *("reflection", "scratchpad", "chain_of_thought", "cot", "seed:think", "antthinking", "ant_thinking"),
    "longcat_think",
)
_REASONING_TOKENS = (
    *("begin_of_thought", "end_of_thought", "begin_of_solution", "thinking", "think", "thought"),
    *("start_thinking", "end_thinking", "begin_internal_thought", "end_internal_thought", "inner_prefix"),
)
_ATTRIBUTES = r"(?:\s+[\w:.\-]+\s*=[^<>]*)?"
_REASONING = re.compile(
    rf"""
    [<◁＜]\s*/?\s*(?:{"|".join(_REASONING_TAGS)}){_ATTRIBUTES}/?\s*[>▷＞]   # <think>, </think>, ◁think▷
    | <\s*[|｜]\s*/?(?:{"|".join(_REASONING_TOKENS)})\s*[|｜]\s*>            # <|begin_of_thought|>
    | \[\s*/?\s*(?:THINK|THINKING|REASONING)\s*\]                           # [THINK]
    | <[|｜]?channel[|｜]?>\s*(?:analysis|commentary|thought|thinking)       # channels of Harmony and Gemma
    | <unused94>\s*thought
    """,
    re.IGNORECASE | re.VERBOSE,
)

_TOOL_TAGS = (
    *("tools?", "tool[_ ]?(?:calls?|responses?|results?|outputs?|code|use|declare|list|name)", "available[_ ]tools"),
    *("functions?", "function[_ ]?(?:calls?|responses?|results?|outputs?|declarations?)", "multiplefunctions"),
    *(r"(?:start|end)_function_\w+", "invoke", "api_?calls?", r"\w+:tool_call"),
)
_NAME = r'"(?:name|function|tool|tool_name|action|api)"\s*:\s*"[^"\n]*"'
_ARGUMENTS = r'"(?:arguments|parameters|args|tool_input|action_input)"\s*:'
_TOOL_CALL = re.compile(
    rf"""
    <\s*/?\s*(?:{"|".join(_TOOL_TAGS)}){_ATTRIBUTES}/?\s*>                       # <tool_call>, <invoke name="f">
    | <\s*/?\s*(?:function|parameter)\s*=                                        # <function=f>
    | <\s*[|｜]\s*/?[^|｜<>]*(?:tool|function|python_tag|plugin|api)[^|｜<>]*[|｜]\s*>   # <|tool_call|>, <|python_tag|>
    | \[\s*/?\s*(?:TOOL_(?:CALLS?|RESULTS?|CONTENT)|AVAILABLE_TOOLS|FUNCTION_CALLS?)\s*\]
    | "type"\s*:\s*"function"                                                    # a schema of OpenAI's
    | {_NAME}\s*,\s*{_ARGUMENTS}                                                 # a call as JSON
    | {_ARGUMENTS}\s*(?:\{{[^{{}}]*\}}|"[^"\n]*")\s*,\s*{_NAME}
    | ^[ \t]*Action[ \t]*:[^\n]*\n[ \t]*Action[ ]Input[ \t]*:                    # ReAct
    | ^[ \t]*FUNCTION\ (?:CALL|RESPONSE)[ \t]*:
    | ^[ \t]*```[ \t]*tool_(?:code|call|outputs?)\b
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_NEEDED = ("<", "[", "{", "ction", "CTION", "```")  # one of them stands in every form; most texts have none

# A line in brackets that begins with a call: [f(x=1), g()].
_BRACKETED = re.compile(r"^[ \t]*(\[[ \t]*[A-Za-z_][\w.\-]*\([^\n]*\)[ \t]*\])[ \t\r]*$", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*```.*?^[ \t]*```", re.MULTILINE | re.DOTALL)
_LONGEST_PARSED = 10_000  # characters; longer lines are no list comprehension


def holds_reasoning(text: str) -> bool:
    """Tell whether a text has a reasoning trace marked in it, such as `<think>`."""
    return ("<" in text or "[" in text or "◁" in text or "＜" in text) and _REASONING.search(text) is not None


def holds_tool_call(text: str) -> bool:
    """Tell whether a text has a tool call, its result or the schema of a tool written into it.

    Known forms: tags (`<tool_call>`), special tokens (`<|python_tag|>`), the JSON of a call or a schema, and a line of
    calls in brackets (`[f(x=1)]`) outside of a code block.
    """
    if not any(mark in text for mark in _NEEDED):
        return False
    if _TOOL_CALL.search(text) is not None:
        return True
    if "[" not in text or ")" not in text:
        return False
    return any(_is_list_of_calls(line) for line in _BRACKETED.findall(_FENCE.sub("", text)))


def _is_list_of_calls(line: str) -> bool:
    """Tell a list of calls from other code that stands in brackets, such as a list comprehension."""
    if len(line) > _LONGEST_PARSED:
        return True
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # of escape sequences that Python does not know
            tree = ast.parse(line, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return True  # not Python: the arguments of a call are often written in another way
    return isinstance(tree, ast.List) and all(isinstance(item, ast.Call) for item in tree.elts)
