"""The turns of a conversation: speakers, contents, and whether a merge of texts would lose something."""

from __future__ import annotations

import ast
import json
import warnings
from collections.abc import Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any, Literal

from mergeit_ops.core.formats.base import Problem, Reading, context_text, parents_value
from mergeit_ops.core.formats.beside import is_trace, problem_beside, shared_beside, values_of_traces
from mergeit_ops.core.formats.content import Content, in_form_of, is_empty, read_content
from mergeit_ops.core.formats.exchanges import TurnContent, exchanges_of, traces_in, with_traces
from mergeit_ops.core.formats.marks import holds_media, holds_reasoning, holds_tool_call
from mergeit_ops.core.formats.rounds import with_rounds
from mergeit_ops.core.formats.vocabulary import speaks_of_calls, speaks_of_reasoning
from mergeit_ops.core.sample import Sample
from mergeit_ops.core.text.characters import encodable

Speaker = Literal["system", "user", "assistant", "tool"]

_SPELLINGS: Mapping[Speaker, tuple[str, ...]] = {
    "system": ("system", "developer", "system_prompt", "系统"),
    "user": (
        *("user", "human", "prompter", "usr", "questioner", "question", "query", "instruction", "prompt", "input"),
        *("customer", "client", "用户", "人类"),
    ),
    "assistant": (
        *("assistant", "ai", "bot", "model", "gpt", "chatgpt", "gpt3", "gpt4", "gpt_3.5", "gpt_4", "gpt_4o"),
        *("bing", "bard", "claude", "gemini", "llm", "chatbot", "ai_assistant", "agent", "answer", "response"),
        *("output", "completion", "machine", "助手", "机器人"),
    ),
    "tool": (
        *("tool", "tools", "tool_call", "tool_calls", "tool_response", "tool_result", "tool_results", "tool_output"),
        *("function", "function_call", "function_calls", "function_response", "function_result", "function_output"),
        *("observation", "environment", "ipython", "python", "code_interpreter", "api", "plugin"),
    ),
}
_SPEAKERS: Mapping[str, Speaker] = {
    spelling: speaker for speaker, spellings in _SPELLINGS.items() for spelling in spellings
}

_TEXT_FIELD_OF: Mapping[str, str] = {
    "role": "content",
    "from": "value",
    "speaker": "text",
    "sender": "text",
    "author": "text",
}
ROLE_FIELDS = frozenset(_TEXT_FIELD_OF)
"""Fields that name the speaker of a turn."""
_TEXT_FIELDS = ("content", "value", "text", "message")

_NOTES = frozenset(
    (
        *("id", "idx", "index", "turn", "turn_id", "turn_index", "turn_number", "turn_identifier", "message_id"),
        *(
            "parent_id",
            "conversation_id",
            "uuid",
            "hash",
            "hashed_ip",
            "source",
            "model",
            "lang",
            "language",
            "country",
        ),
        *("state", "header", "timestamp", "time", "date", "created", "created_at", "create_time", "updated_at"),
        *("tokens", "num_tokens", "n_tokens", "token_count", "length", "score", "rating", "rank", "toxic", "redacted"),
    )
)
"""Fields that describe a turn and that no chat template or trainer reads."""

_SAME_IN_ALL_PARENTS = frozenset(
    ("name", "weight", "train", "trainable", "loss", "loss_weight", "loss_mask", "mask", "masked", "eot", "prefix")
)
"""Fields that control how a turn is read or trained on; rows are merged only if they agree."""

_FINAL_CHANNELS = ("final", "assistant", "response")
_CHANNELS_OF_TRACES = ("analysis", "thought", "thinking", "reasoning")


@dataclass(frozen=True)
class Turn:
    """A turn of a known speaker.

    :param speaker: who speaks.
    :param fields: the turn as it is in the row.
    :param role_field: the field that names the speaker.
    :param text_field: the field that holds the content.
    """

    speaker: Speaker
    fields: Mapping[str, Any]
    role_field: str
    text_field: str

    @property
    def content(self) -> Content:
        """What is said."""
        return read_content(self.fields.get(self.text_field))

    @property
    def further_fields(self) -> dict[str, Any]:
        """The non-empty fields other than speaker and content."""
        return {
            name: value
            for name, value in self.fields.items()
            if name not in (self.role_field, self.text_field) and not is_empty(value)
        }

    @property
    def has_trace(self) -> bool:
        """Whether a field or the channel of the turn marks it as reasoning."""
        fields = self.further_fields
        if any(_is_of_reasoning(name) and is_trace(name, value) for name, value in fields.items()):
            return True
        return fields.get("channel", _FINAL_CHANNELS[0]) not in _FINAL_CHANNELS

    @property
    def thoughts(self) -> tuple[str, ...]:
        """The traces of its fields and of the parts of its content."""
        fields = (
            value for name, value in self.further_fields.items() if _is_of_reasoning(name) and is_trace(name, value)
        )
        return traces_in((*fields, *self.content.thoughts))

    @property
    def said(self) -> TurnContent:
        """Its content, including its thoughts."""
        fields = self.further_fields
        assistant = self.speaker == "assistant"
        return TurnContent(
            self.content.text,
            assistant,
            self.thoughts if assistant else (),
            assistant and fields.get("channel") in _CHANNELS_OF_TRACES,
            self.speaker == "tool" or any(map(speaks_of_calls, fields)),
        )

    @property
    def has_more(self) -> bool:
        """Whether further fields hold something that a merge of texts may lose; every unknown field counts."""
        known = _NOTES | _SAME_IN_ALL_PARENTS | {"channel"}
        return any(name not in known and not _is_of_reasoning(name) for name in self.further_fields)

    @property
    def shared(self) -> dict[str, Any]:
        """The fields that the turns of all parents of a merge must share."""
        return {
            name: value
            for name, value in sorted(self.further_fields.items())
            if name in _SAME_IN_ALL_PARENTS or _is_of_reasoning(name)
        }


def _is_of_reasoning(field: str) -> bool:
    return speaks_of_reasoning(field) or field == "analysis"


def turns_in(value: Any) -> Sequence[Any] | None:
    """Return a column's turns unchanged; None if it has none.

    :param value: a list of turns, each a mapping or JSON text, or the whole list as text, in JSON or in Python's
        notation.
    """
    if isinstance(value, str):
        value = parsed(value)
    if not isinstance(value, (list, tuple)):
        return None
    return [parsed(turn) if isinstance(turn, str) else turn for turn in value]


def in_turns_form(turns: Sequence[Mapping[str, Any]], column: Any) -> Any:
    """Return turns in the form of another value of their column: as a list, as text, or as a list of texts."""
    if isinstance(column, str):
        return _dumped(list(turns), column)
    if column and all(isinstance(turn, str) for turn in column):
        return [_dumped(turn, column[0]) for turn in turns]
    return list(turns)


def _bare(text: str) -> str:
    """Return a text without the white space and the byte order mark around it."""
    return text.strip().strip("\ufeff").strip()


def parsed(text: str) -> Any:
    """Return the list or mapping in a text, in JSON or in Python's notation; None if there is none."""
    stripped = _bare(text)
    if not stripped.startswith(("[", "{")):
        return None
    try:
        return json.loads(stripped)
    except (ValueError, RecursionError):
        pass
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")  # about unknown escape sequences
            return ast.literal_eval(stripped)
    except (ValueError, SyntaxError, RecursionError, MemoryError, TypeError):
        return None


def _dumped(value: Any, like: str) -> str:
    """Return a value as JSON text with the escapes and spaces of another text."""
    like = _bare(like)
    try:
        parsed = json.loads(like)
    except ValueError:
        return repr(value)
    for ensure_ascii in (False, True):
        for separators in ((", ", ": "), (",", ":")):
            if json.dumps(parsed, ensure_ascii=ensure_ascii, separators=separators) == like:
                return json.dumps(value, ensure_ascii=ensure_ascii, separators=separators)
    return json.dumps(value, ensure_ascii=False)


def known_turns(given: Sequence[Any]) -> list[Turn]:
    """Return the turns whose speaker is known."""
    return [turn for turn in map(_turn, given) if turn is not None]


def _turn(fields: Any) -> Turn | None:
    if not isinstance(fields, Mapping):
        return None
    role_field = next((name for name in _TEXT_FIELD_OF if isinstance(fields.get(name), str)), None)
    if role_field is None:
        return None
    speaker = _SPEAKERS.get(fields[role_field]) or _SPEAKERS.get(_plain(fields[role_field]))
    if speaker is None:
        return None
    text_field = _TEXT_FIELD_OF[role_field]
    if fields.get(text_field) is None:
        # If rows use different field names, every turn in the table has all fields; unused ones are null.
        text_field = next((name for name in _TEXT_FIELDS if fields.get(name) is not None), text_field)
    return Turn(speaker, fields, role_field, text_field)


def _plain(role: str) -> str:
    return role.strip().strip("<|>:").lower().replace("-", "_").replace(" ", "_")


def read_conversation(given: Sequence[Any], beside: Mapping[str, Any], system_prompt: str) -> Reading:
    """Read a conversation.

    :param given: its turns, as they are in the row.
    :param beside: the columns besides the turns; see `only_beside`.
    :param system_prompt: system prompt in the row's own column; a system turn takes precedence.
    """
    turns = known_turns(given)
    contents = [turn.content for turn in turns]
    said: dict[Speaker, list[str]] = {speaker: [] for speaker in _SPELLINGS}
    for turn, content in zip(turns, contents, strict=True):
        said[turn.speaker].append(content.text)
    prompt = "\n\n".join(said["system"]).strip() or system_prompt
    sample = Sample("\n".join(said["user"]), "", "\n".join(said["assistant"]), prompt)
    sample = with_rounds(
        sample,
        (
            ("", content.text) if turn.speaker == "assistant" else (content.text, "")
            for turn, content in zip(turns, contents, strict=True)
            if turn.speaker != "system"
        ),
    )
    shared = shared_beside(beside) | (
        {"system prompt of the row": system_prompt} if said["system"] and system_prompt else {}
    )
    shared |= {f"{turn.speaker} {name}": value for turn in turns for name, value in turn.shared.items()}
    problem = _problem(given, turns, contents, said, sample, beside)
    if problem == "reasoning":
        parts = [turn.said for turn in turns if turn.speaker != "system"]
        sample = replace(sample, exchanges=exchanges_of(with_traces(parts, traces_in(values_of_traces(beside)))))
    return Reading(sample, problem, context_text(shared))


def _problem(
    given: Sequence[Any],
    turns: Sequence[Turn],
    contents: Sequence[Content],
    said: Mapping[Speaker, Sequence[str]],
    sample: Sample,
    beside: Mapping[str, Any],
) -> Problem | None:
    texts = [content.text for content in contents] + [sample.system]
    found = problem_beside(beside)
    if (
        found == "reasoning"
        or any(turn.has_trace for turn in turns)
        or any(content.thoughts for content in contents)
        or any(map(holds_reasoning, texts))
    ):
        return "reasoning"
    if not said["user"] or not said["assistant"]:
        return "bad_row"
    if (
        found == "more_than_text"
        or said["tool"]
        or any(turn.has_more for turn in turns)
        or any(content.more for content in contents)
        or any(map(holds_tool_call, texts))
        or any(map(holds_media, texts))
    ):
        return "more_than_text"
    if len(turns) < len(given) or any(content.odd for content in contents):
        return "bad_row"
    if any(text != encodable(text) for text in texts):  # half a surrogate pair, from an escape in JSON text
        return "bad_row"
    if len(said["user"]) > 1 or len(said["assistant"]) > 1:
        return "multi_turn"
    asked_first = [turn.speaker for turn in turns if turn.speaker in ("user", "assistant")] == ["user", "assistant"]
    return None if asked_first and sample.instruction.strip() and sample.output.strip() else "bad_row"


def first_turns(turns_of: Sequence[Sequence[Turn]], speaker: Speaker) -> list[Turn]:
    """Return each parent's first turn of a speaker, if it has one."""
    firsts = (next((turn for turn in turns if turn.speaker == speaker), None) for turns in turns_of)
    return [turn for turn in firsts if turn is not None]


def like(models: Sequence[Turn], text: str) -> dict[str, Any]:
    """Return a turn in the form of the first of some turns. Further fields keep a common value, and are null
    otherwise."""
    first = models[0]
    turn = {
        name: value if all(name in model.fields and model.fields[name] == value for model in models) else None
        for name, value in first.fields.items()
    }
    turn[first.role_field] = first.fields[first.role_field]
    turn[first.text_field] = in_form_of(text, first.fields.get(first.text_field))
    return turn


def system_prompt_as(
    text: str, turns_of: Sequence[Sequence[Turn]], parents: Sequence[Mapping[str, Any]], system_key: str, in_turns: bool
) -> tuple[list[dict[str, Any]], dict[str, Any]]:
    """Return the system prompt of a merge as its first turn or as a column.

    :param text: the system prompt that all parents share; empty if there is none.
    :param turns_of: the turns of each parent.
    :param parents: the parents' rows.
    :param system_key: the column of the system prompt.
    :param in_turns: whether the merge is written as turns, so that a turn can be added.
    :return: a list of no turn or one turn, and a mapping with the column and its value, or an empty one.
    """
    prompts = first_turns(turns_of, "system")
    if in_turns and prompts and (text or len(prompts) == len(parents)):
        return [like(prompts, text)], {}
    with_column = [parent[system_key] for parent in parents if system_key in parent]
    if not text:
        return [], {}
    if with_column:
        return [], {system_key: parents_value(text, with_column)}
    asks = turns_of[0][0]
    return [{asks.role_field: "system", asks.text_field: in_form_of(text, asks.fields.get(asks.text_field))}], {}


def spoken(value: Any) -> list[tuple[str, str]] | None:
    """Return the turns of a column as readable text; None if the value is not a list of turns.

    :param value: value of any column of a row.
    """
    given = turns_in(value)
    if not given:
        return None
    turns = known_turns(given)
    if len(turns) < len(given):
        return None
    return [(turn.fields[turn.role_field], turn.content.text) for turn in turns]
