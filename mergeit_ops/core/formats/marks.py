"""Marks of reasoning traces and tool calls inside a text."""

from __future__ import annotations

import ast
import re
import warnings

_REASONING_WORDS = (
    "think|thinking|thought|thoughts|reasoning|reflection|reflections|scratchpad|monologue|chain_of_thought|cot|"
    "scratch_pad|analysis|rationale|antthinking|innerthoughts?"
)
_TOOL_WORDS = "tool|tools|toolcall|toolcalls|functioncall|functioncalls|multiplefunctions"
_OPENS = r"(?:(?<![A-Za-z])<|<\s*/)\s*"  # of a tag; not of a type in code, such as List<Function>
_ATTRIBUTES = r"(?:\s+[\w:.\-]+\s*=[^<>]*)?"


def _name_with(words: str) -> str:
    """Return a pattern of names that contain one of some words, such as `tool_call` and `seed:think`."""
    return rf"[\w:.\-▁]*?(?<![A-Za-z])(?:{words})(?![A-Za-z])[\w:.\-▁]*"


REASONING_MARK = re.compile(
    rf"""
    [<◁＜]\s*/?\s*{_name_with(_REASONING_WORDS)}{_ATTRIBUTES}\s*/?\s*[>▷＞]   # <think>, </think>, ◁think▷
    | <\s*[|｜]\s*/?[^|｜<>]*(?:think|thought|reasoning|begin_of_solution)[^|｜<>]*[|｜]\s*>   # <|begin_of_thought|>
    | &lt;\s*/?\s*think(?:ing)?\s*&gt;
    | \[\s*/?\s*(?:(?:BEGIN|END|START)_(?:OF_)?)?(?:THINK|THINKING|THOUGHTS?|REASONING)\s*\]   # [THINK]
    | ^[ \t]*```[ \t]*(?:think|thinking|thoughts?|reasoning)[ \t]*$
    | <[|｜]?channel[|｜]?>\s*(?:analysis|commentary|thought|thinking)       # channels of Harmony and Gemma
    | <unused94>\s*thought
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
"""A mark that opens or closes a reasoning trace."""

_START = re.compile(r"\s*(?:<[|｜]start[|｜]>\s*assistant)?\s*")
_CLOSES = re.compile(r"[<◁＜\[]\s*[|｜]?\s*/|<\s*[|｜]\s*(?:end_|begin_of_solution)", re.IGNORECASE)
_ANSWERS = re.compile(r"<[|｜]channel[|｜]>\s*final\s*(?:<[|｜]message[|｜]>)?|<channel[|｜]>", re.IGNORECASE)
_LONGEST_MARK = 80  # characters

_TOOL_TAGS = (
    *(r"functions?", r"function[_ ]?(?:calls?|responses?|results?|outputs?|declarations?)"),
    *(r"tool[ ](?:calls?|responses?|results?|outputs?|code)", r"(?:start|end)_function_\w+", "invoke", "api_?calls?"),
)
_QUOTE = r"""["']"""
_NAME = rf"{_QUOTE}(?:name|function|function_name|tool|tool_name|action|api){_QUOTE}\s*:\s*{_QUOTE}[^\"'\n]*{_QUOTE}"
_ARGUMENTS = rf"{_QUOTE}(?:arguments|parameters|args|tool_input|action_input){_QUOTE}\s*:"
_TOOL_CALL = re.compile(
    rf"""
    {_OPENS}{_name_with(_TOOL_WORDS)}{_ATTRIBUTES}\s*/?\s*>                      # <tool_call>, </tools>
    | {_OPENS}(?:{"|".join(_TOOL_TAGS)}){_ATTRIBUTES}\s*/?\s*>                   # <invoke name="f">
    | <\s*/?\s*(?:function|parameter)\s*=                                        # <function=f>
    | <\s*[|｜]\s*/?[^|｜<>]*(?:tool|function|python_tag|plugin|api)[^|｜<>]*[|｜]\s*>   # <|tool_call|>, <|python_tag|>
    | \[\s*/?\s*(?:TOOL_(?:CALLS?|RESULTS?|CONTENT)|AVAILABLE_TOOLS|FUNCTION_CALLS?)\s*\]
    | "type"\s*:\s*"function"                                                    # a schema of OpenAI's
    | {_NAME}\s*,\s*{_ARGUMENTS}                                                 # a call as JSON
    | ^[ \t*]*Action[ \t]*:[^\n]*\n[ \t*]*Action[ ]Input[ \t]*:                  # ReAct
    | ✿\s*(?:FUNCTION|ARGS|RESULT|RETURN)\s*✿
    | \[[ \t]*[A-Za-z_][\w.\-]*\([^()\[\]\n]*=[^\n]{{0,200}}?\)[ \t]*\]          # [f(x=1)] in a sentence
    | ^[ \t]*FUNCTION\ (?:CALL|RESPONSE)[ \t]*:
    | ^[ \t]*```[ \t]*tool_(?:code|call|outputs?)\b
    """,
    re.IGNORECASE | re.VERBOSE | re.MULTILINE,
)
_ARGUMENTS_OF_CALL = re.compile(rf"{_QUOTE}(?:arguments|tool_input|action_input){_QUOTE}\s*:")
_NAME_OF_CALL = re.compile(_NAME)
_SCHEMA = re.compile(rf"{_QUOTE}parameters{_QUOTE}\s*:\s*\{{")
_DESCRIPTION = re.compile(rf"{_QUOTE}description{_QUOTE}\s*:")
_NEEDED = ("<", "[", "{", "ction", "CTION", "```", "✿")  # every form has one of them; most texts have none
_NEEDED_OF_REASONING = ("<", "[", "◁", "＜", "&lt;", "```")

# Not <video> and <audio>, which are HTML.
_MEDIA = re.compile(r"<image(?:[_ ]?\d+)?>|<\|(?:image|vision|video|audio)[^|<>]*\|>", re.IGNORECASE)

# A line in brackets that begins with a call: [f(x=1), g()].
_BRACKETED = re.compile(r"^[ \t]*(\[[ \t]*[A-Za-z_][\w.\-]*\([^\n]*\)[ \t]*\])[ \t\r]*$", re.MULTILINE)
_FENCE = re.compile(r"^[ \t]*```.*?^[ \t]*```", re.MULTILINE | re.DOTALL)
_LONGEST_PARSED = 10_000  # characters; longer lines are not a list comprehension


def _holds_one(marks: tuple[str, ...], text: str) -> bool:
    # Called several times for every row; a generator would take three times as long.
    if text:
        for mark in marks:
            if mark in text:
                return True
    return False


def holds_reasoning(text: str) -> bool:
    """Return whether a text contains the marks of a reasoning trace, such as `<think>`."""
    return _holds_one(_NEEDED_OF_REASONING, text) and REASONING_MARK.search(text) is not None


def holds_media(text: str) -> bool:
    """Return whether a text contains a placeholder of an image, a video or a sound, such as `<image>`."""
    return "<" in text and _MEDIA.search(text) is not None


def split_reasoning(text: str) -> tuple[str, str]:
    """Split a model's text into the reasoning at its beginning and the rest.

    A mark that is never closed makes the rest of the text reasoning. Some chat templates open the reasoning themselves.
    Then the text before `</think>` is reasoning, and so is a text that ends in a closing mark.

    :param text: text of a model.
    :return: reasoning, without its first mark, and the rest. The reasoning is empty if the text does not begin with it.
    """
    start = _START.match(text)
    opened = REASONING_MARK.match(text, start.end() if start else 0)
    if opened is None or _CLOSES.match(opened[0]):
        thoughts, closed, rest = text.rpartition("</think>")
        if closed:
            return thoughts, rest
        tail = text.rstrip()
        last = _marks(REASONING_MARK, tail, max(0, len(tail) - _LONGEST_MARK))[-1:]
        closes = [mark for mark in last if mark.end() == len(tail) and _CLOSES.match(mark[0])]
        return (text[: closes[0].start()], "") if closes else ("", text)
    ends = [mark for mark in _marks(REASONING_MARK, text, opened.end()) if _CLOSES.match(mark[0])]
    ends += _marks(_ANSWERS, text, opened.end())
    if not ends:
        return text[opened.end() :], ""
    last_end = max(ends, key=lambda mark: mark.end())
    return text[opened.end() : last_end.start()], text[last_end.end() :]


def _marks(pattern: re.Pattern[str], text: str, start: int) -> list[re.Match[str]]:
    return list(pattern.finditer(text, start))


def holds_tool_call(text: str) -> bool:
    """Return whether a text contains a tool call, its result or the schema of a tool.

    Known forms: tags (`<tool_call>`), special tokens (`<|python_tag|>`), the JSON of a call or a schema, and a line of
    calls in brackets (`[f(x=1)]`) outside of a code block.
    """
    if not _holds_one(_NEEDED, text):
        return False
    if _TOOL_CALL.search(text) is not None:
        return True
    if _NAME_OF_CALL.search(text) is not None and (
        _ARGUMENTS_OF_CALL.search(text) is not None
        or (_SCHEMA.search(text) is not None and _DESCRIPTION.search(text) is not None)
    ):
        return True
    if "[" not in text or ")" not in text:
        return False
    prose = _FENCE.sub("", text)
    whole = prose.strip()
    if whole.startswith("[") and whole.endswith("]") and "\n" in whole and _is_list_of_calls(whole, otherwise=False):
        return True
    return any(_is_list_of_calls(line) for line in _BRACKETED.findall(prose))


def _is_list_of_calls(line: str, otherwise: bool = True) -> bool:
    """Return whether code in brackets is a list of calls and not, for example, a list comprehension.

    :param line: the code.
    :param otherwise: the result for text that is not Python.
    """
    if len(line) > _LONGEST_PARSED:
        return otherwise
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unknown escape sequences
            tree = ast.parse(line, mode="eval").body
    except (SyntaxError, ValueError, RecursionError, MemoryError):
        return otherwise  # not Python, because the arguments of a call are often written in another way
    if isinstance(tree, ast.Subscript):  # [f(x=1)] [g(y=2)]
        tree = tree.value
    return isinstance(tree, ast.List) and bool(tree.elts) and all(isinstance(item, ast.Call) for item in tree.elts)
