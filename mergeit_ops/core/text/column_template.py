"""Build a text from the columns of a row by a template like that of `str.format`, which may only name columns."""

from __future__ import annotations

from collections.abc import Mapping
from string import Formatter


class ColumnTemplate:
    """A template such as `{query}\\n{response}`.

    The template is never passed to `str.format`, because recipes and rows must not access attributes of objects or run
    format code.

    :param text: column names in braces; a literal brace is doubled.
    :raises ValueError: if a brace is not closed, or a field is more than a name.
    """

    def __init__(self, text: str) -> None:
        self.text = text
        self._parts: list[tuple[str, str | None]] = []
        for literal, name, spec, conversion in Formatter().parse(text):
            if name is not None:
                _check_field(name, spec, conversion)
            self._parts.append((literal, name))

    @property
    def names(self) -> tuple[str, ...]:
        """Return the names of the columns, each once, in the order of the template."""
        return tuple(dict.fromkeys(name for _, name in self._parts if name is not None))

    def render(self, values: Mapping[str, str]) -> str:
        """Return the text.

        :param values: maps each name to its text.
        """
        return "".join(literal + ("" if name is None else values[name]) for literal, name in self._parts)

    def __eq__(self, other: object) -> bool:
        return isinstance(other, ColumnTemplate) and other.text == self.text

    def __hash__(self) -> int:
        return hash(self.text)


def _check_field(name: str, spec: str | None, conversion: str | None) -> None:
    if not name or name.isdigit():
        raise ValueError(f"'{{{name}}}' names no column")
    if spec or conversion or any(mark in name for mark in ".[]"):
        field = name + (f"!{conversion}" if conversion else "") + (f":{spec}" if spec else "")
        raise ValueError(f"'{{{field}}}' is more than the name of a column")
