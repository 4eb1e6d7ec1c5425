"""Text of rows on a page: nobody vouches for it, so nothing of it may act or hide."""

from __future__ import annotations

import json
import re
from typing import Any

from mergeit_ops.core.text.characters import UNSEEN

__all__ = ["TEXT_LIMIT", "as_script_data", "shown"]

TEXT_LIMIT = 3_000
"""Characters of a text that a page shows."""

_IN_SCRIPT = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def shown(text: str, limit: int) -> tuple[str, int]:
    """Return a text as a page may show it, and how many of its characters are left out.

    :param text: any text.
    :param limit: characters to show.
    :return: the start of the text, characters that act unseen written out as `⟨U+202E⟩`; the number of those cut.
    """
    visible = UNSEEN.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text[:limit].replace("\r\n", "\n"))
    return visible, max(0, len(text) - limit)


def as_script_data(value: Any) -> str:
    """Return JSON that can stand in a script element: it cannot end it, open a comment in it, or break its lines.

    :param value: what JSON can hold, without NaN; halves of surrogate pairs are written as escapes.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match.group()):04x}", text.translate(_IN_SCRIPT))
