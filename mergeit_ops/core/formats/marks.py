"""Marks inside a text that say it is more than a text: reasoning traces and tool calls written out."""

from __future__ import annotations

import ast
import re
import warnings

_REASONING_WORDS = (
    "think|thinking|thought|thoughts|reasoning|reflection|reflections|scratchpad|monologue|chain_of_thought|cot|"
    "antthinking"
)
_TOOL_WORDS = "tool|tools|toolcall|toolcalls|functioncall|functioncalls|multiplefunctions"
_ATTRIBUTES = r"(?:\s+[\w:.\-]+\s*=[^<>]*)?"


def _name_with(words: str) -> str:
    """Return a pattern of names that have one of some words as a part, such as `tool_call` and `seed:think`."""
    return rf"[\w:.\-▁]*?(?<![A-Za-z])(?:{words})(?![A-Za-z])[\w:.\-▁]*"


_REASONING = re.compile(
    rf"""
    [<◁＜]\s*/?\s*{_name_with(_REASONING_WORDS)}{_ATTRIBUTES}\s*/?\s*[>▷＞]   # <think>, </think>, ◁think▷
    | <\s*[|｜]\s*/?[^|｜<>]*(?:think|thought|reasoning|begin_of_solution)[^|｜<>]*[|｜]\s*>   # <|begin_of_thought|>
    | \[\s*/?\s*(?:THINK|THINKING|REASONING)\s*\]                           # [THINK]
    | <[|｜]?channel[|｜]?>\s*(?:analysis|commentary|thought|thinking)       # channels of Harmony and Gemma
    | <unused94>\s*thought
    """,
    re.IGNORECASE | re.VERBOSE,
)

_START = re.compile(r"\s*(?:<[|｜]start[|｜]>\s*assistant)?\s*")
_CLOSES = re.compile(r"[<◁＜\[]\s*[|｜]?\s*/|<\s*[|｜]\s*(?:end_|begin_of_solution)", re.IGNORECASE)
_ANSWERS = re.compile(r"<[|｜]channel[|｜]>\s*final\s*(?:<[|｜]message[|｜]>)?|<channel[|｜]>", re.IGNORECASE)
_LONGEST_MARK = 80  # characters

_TOOL_TAGS = (
    *(r"functions?", r"function[_ ]?(?:calls?|responses?|results?|outputs?|declarations?)"),
    *(r"tool[ ](?:calls?|responses?|results?|outputs?|code)", r"(?:start|end)_function_\w+", "invoke", "api_?calls?"),
)
_NAME = r'"(?:name|function|tool|tool_name|action|api)"\s*:\s*"[^"\n]*"'
_ARGUMENTS = r'"(?:arguments|parameters|args|tool_input|action_input)"\s*:'
_TOOL_CALL = re.compile(
    rf"""
    <\s*/?\s*{_name_with(_TOOL_WORDS)}{_ATTRIBUTES}\s*/?\s*>                      # <tool_call>, </tools>
    | <\s*/?\s*(?:{"|".join(_TOOL_TAGS)}){_ATTRIBUTES}\s*/?\s*>                   # <invoke name="f">
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


def split_reasoning(text: str) -> tuple[str, str]:
    """Split a model's text into the reasoning at its beginning and what stands behind it.

    What is opened and never closed is reasoning to its end. Some chat templates open it themselves: then a text that
    ends in a closing mark is all reasoning, and so is what stands before `</think>`.

    :param text: what a model wrote.
    :return: reasoning, without its first mark, and the rest; the first is empty where a text begins otherwise.
    """
    start = _START.match(text)
    opened = _REASONING.match(text, start.end() if start else 0)
    if opened is None or _CLOSES.match(opened[0]):
        thoughts, closed, rest = text.rpartition("</think>")
        if closed:
            return thoughts, rest
        tail = text.rstrip()
        last = _marks(_REASONING, tail, max(0, len(tail) - _LONGEST_MARK))[-1:]
        closes = [mark for mark in last if mark.end() == len(tail) and _CLOSES.match(mark[0])]
        return (text[: closes[0].start()], "") if closes else ("", text)
    ends = [mark for mark in _marks(_REASONING, text, opened.end()) if _CLOSES.match(mark[0])]
    ends += _marks(_ANSWERS, text, opened.end())
    if not ends:
        return text[opened.end() :], ""
    last_end = max(ends, key=lambda mark: mark.end())
    return text[opened.end() : last_end.start()], text[last_end.end() :]


def _marks(pattern: re.Pattern[str], text: str, start: int) -> list[re.Match[str]]:
    return list(pattern.finditer(text, start))


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
