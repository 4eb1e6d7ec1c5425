"""Descriptions of responses that are not JSON."""

from __future__ import annotations

import html
import re

from mergeit_ops.llm.masking import Mask

__all__ = ["non_json", "web_page"]

_HTML = re.compile(
    r"\s*(<\?xml[^>]*>\s*)?(<!--((?!-->).)*-->\s*)*<(!doctype html|html|head|body|title|center|h1)\b", re.I | re.S
)
_TITLE = re.compile(r"<(title|h1)\b[^>]*>(.*?)</\1", re.I | re.S)
_TAG = re.compile(r"<[^>]*>")
_EVENT = re.compile(r"\s*(data|event|id|retry)?:[ {]")
_LINES = re.compile(r"\s*\{.*\}\s*\n\s*\{", re.S)
_HEAD_CHARS = 8_000
_TITLE_CHARS = 120


def web_page(text: str, mask: Mask) -> str | None:
    """Describe an HTML page.

    :param text: the body of a response.
    :param mask: hides secrets that the page may repeat.
    :return: part of a sentence, with the page's title if it has one; None if it is not HTML.
    """
    head = text[:_HEAD_CHARS]
    if not _HTML.match(head):
        return None
    found = _TITLE.search(head)
    title = " ".join(html.unescape(_TAG.sub(" ", found[2])).split()) if found else ""
    title = mask("".join(char for char in title if char.isprintable()))[:_TITLE_CHARS]
    return f"an HTML page titled {title!r}" if title else "an HTML page"


def non_json(text: str, mask: Mask) -> str:
    """Describe the body of a response that should have been JSON.

    :param text: the body.
    :param mask: hides secrets that it may repeat.
    :return: one clause.
    """
    page = web_page(text, mask)
    if page is not None:
        return (
            f"the server answered with {page} instead of JSON: the address leads to a web page or a login, not to an "
            "API"
        )
    if _EVENT.match(text) or _LINES.match(text[:_HEAD_CHARS]):
        return "the server streams its answer, but only whole answers can be read: turn streaming off on the server"
    return "the server answered with something that is not JSON"
