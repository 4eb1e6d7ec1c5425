"""Safe display of row texts. They are not trusted, so they must not run as code or hide characters."""

from __future__ import annotations

import json
import re
from typing import Any

from mergeit_ops.core.text.characters import UNSEEN

__all__ = ["TEXT_LIMIT", "as_script_data", "shown"]

TEXT_LIMIT = 3_000
"""Maximum characters of a text on a page."""

_IN_SCRIPT = {ord(character): f"\\u{ord(character):04x}" for character in "<>&\u2028\u2029"}


def shown(text: str, limit: int) -> tuple[str, int]:
    """Return a text that is safe to show on a page, and the number of characters that are cut.

    :param text: any text.
    :param limit: maximum number of characters.
    :return: the start of the text, with invisible control characters written like `⟨U+202E⟩`, and the number of cut
        characters.
    """
    visible = UNSEEN.sub(lambda match: f"⟨U+{ord(match.group()):04X}⟩", text[:limit].replace("\r\n", "\n"))
    return visible, max(0, len(text) - limit)


def as_script_data(value: Any) -> str:
    """Return JSON for a script element. Texts in it cannot end the element, open a comment, or break a line.

    :param value: a value that JSON can hold, without NaN. Lone surrogates are written as escapes.
    """
    text = json.dumps(value, ensure_ascii=False, separators=(",", ":"), allow_nan=False)
    return re.sub("[\ud800-\udfff]", lambda match: f"\\u{ord(match.group()):04x}", text.translate(_IN_SCRIPT))
