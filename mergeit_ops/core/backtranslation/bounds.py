"""Bounds of the texts to ask about."""

from __future__ import annotations

from dataclasses import dataclass
from typing import Any

__all__ = ["BAD_ROW", "SHORT_LINE", "TOO_LONG", "TOO_SHORT", "TextBounds"]

BAD_ROW, TOO_SHORT, TOO_LONG, SHORT_LINE = "bad_row", "too_short", "too_long", "short_line"


@dataclass(frozen=True)
class TextBounds:
    """The length limits of a text.

    :param min_chars: fewest characters, without whitespace at the ends.
    :param max_chars: most characters, counted in the same way; None: any number.
    :param min_line_chars: fewest characters of each line that is not blank; 0: any number.
    """

    min_chars: int = 0
    max_chars: int | None = None
    min_line_chars: int = 0

    def problem(self, value: Any) -> str | None:
        """Return why no call is made for a value; None if one is made.

        :param value: value of a row's text column.
        :return: `bad_row` (no text, or a blank one), `too_short`, `too_long` or `short_line`.
        """
        if not isinstance(value, str) or not value.strip():
            return BAD_ROW
        text = value.strip()
        if len(text) < self.min_chars:
            return TOO_SHORT
        if self.max_chars is not None and len(text) > self.max_chars:
            return TOO_LONG
        lines = (line.strip() for line in text.splitlines())
        return SHORT_LINE if any(line and len(line) < self.min_line_chars for line in lines) else None
