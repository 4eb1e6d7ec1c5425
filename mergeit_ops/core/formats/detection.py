"""Detect the layout of a dataset."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from mergeit_ops.core.formats.advice import advice_for
from mergeit_ops.core.formats.base import FormatName, SampleFormat
from mergeit_ops.core.formats.beside import SYSTEM_COLUMNS, columns_beside
from mergeit_ops.core.formats.chat import ChatFormat
from mergeit_ops.core.formats.prompt_completion import PromptCompletionFormat
from mergeit_ops.core.formats.text_columns import AlpacaFormat, QueryResponseFormat

CHAT_COLUMNS = ("messages", "conversations", "conversation")
"""Columns that hold a list of turns."""

FORMATS_IN_WORDS = (
    "alpaca (instruction, output), query_response (query, response), messages (a list of turns with role and content, "
    "also as JSON text), sharegpt (conversations, turns with from and value), prompt_completion (prompt, completion: "
    "texts or turns); turns need speakers such as user and assistant, or human and gpt"
)
"""Description of the layouts, for error messages."""


def resolve_format(
    name: FormatName,
    columns: Sequence[str],
    *,
    instruction_key: str | None = None,
    query_key: str | None = None,
    response_key: str | None = None,
    system_key: str | None = None,
    history_key: str | None = None,
) -> SampleFormat:
    """Return the layout of a dataset.

    :param name: a layout, or `auto` to detect it from the columns.
    :param columns: the dataset's column names.
    :param instruction_key: column of the instruction; None: `instruction`, or `prompt` in layouts where it may hold
        turns.
    :param query_key: column of the optional input; None: `input` in Alpaca data, `query` in Data-Juicer's layout.
    :param response_key: column of the response; None: `output` in Alpaca data, `response` in Data-Juicer's layout,
        `completion` with a prompt.
    :param system_key: column of the optional system prompt; None: `system`, or `system_prompt` if it exists.
    :param history_key: column of the optional earlier turns; None: `history`. Chat layouts have no such column.
    :raises ValueError: if a needed column is missing, or `auto` finds no layout or more than one.
    """
    keys = {"instruction_key": instruction_key, "query_key": query_key, "response_key": response_key}
    given: dict[str, Any] = {key: value for key, value in keys.items() if value is not None}
    if system_key in (None, *SYSTEM_COLUMNS) and system_key not in columns:
        system_key = next((column for column in SYSTEM_COLUMNS if column in columns), system_key)
    system: dict[str, Any] = {"beside": columns_beside(columns)}
    if system_key is not None:
        system["system_key"] = system_key
    context: dict[str, Any] = system if history_key is None else {**system, "history_key": history_key}
    sides = [("prompt", "completion"), ("input", "output")]
    asked, answered = next((pair for pair in sides if set(pair) <= set(columns)), sides[0])
    chat_column = "conversation" if "conversation" in columns and "messages" not in columns else "messages"
    candidates: dict[FormatName, Callable[[], SampleFormat]] = {
        "alpaca": lambda: AlpacaFormat(**given, **context),
        "query_response": lambda: QueryResponseFormat(**given, **context),
        "messages": lambda: ChatFormat("messages", chat_column, **system),
        "sharegpt": lambda: ChatFormat("sharegpt", "conversations", **system),
        "prompt_completion": lambda: PromptCompletionFormat(
            instruction_key or asked, response_key or answered, **system
        ),
    }
    there = ", ".join(repr(column) for column in columns) or "none"
    if name != "auto":
        layout = candidates[name]()
        missing = [column for column in layout.required_columns if column not in columns]
        if missing:
            wanted = ", ".join(map(repr, missing))
            raise ValueError(
                f"the column {wanted} of sample format '{name}' is missing; the dataset has: {there}"
                f"{advice_for(columns)}"
            )
        return layout
    layouts = [make() for make in candidates.values()]
    found = [layout for layout in layouts if set(layout.required_columns) <= set(columns)]
    if given and found and found[0].name == "alpaca":
        # Custom column names fit Data-Juicer's layout too, because both layouts need only two columns.
        return found[0]
    if (asked, answered) != sides[0]:
        # If the instruction column is misspelled, `input` is not the question.
        found = [layout for layout in found if layout.name != "prompt_completion"]
    if len(found) > 1:
        names = " and ".join(f"'{layout.name}' ({', '.join(layout.required_columns)})" for layout in found)
        raise ValueError(
            f"the columns fit more than one sample format: {names}; set sample_format to one of them, the same in all "
            "operators: rows that have nothing in its columns are kept and never merged"
        )
    if not found:
        needs = "; ".join(f"{layout.name}: {', '.join(layout.required_columns)}" for layout in layouts)
        raise ValueError(
            f"no sample format fits; the dataset has the columns {there}, but needs ({needs}){advice_for(columns)}"
        )
    return found[0]
