"""Hiding what was sent in confidence wherever a server repeats it."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, unquote

__all__ = ["Mask", "masking", "proxy_secrets", "unmasked"]

Mask = Callable[[str], str]
"""Takes a text of a server, and returns it without secrets."""

_MASKED = "***"
_FEWEST_CHARS = 4
"""Of a secret: whatever is shorter stands in many words."""
_BETWEEN = "[\\s\x00-\x1f\u00ad\u200b-\u200f\u2060\ufeff]*"
"""What may come between the characters of a secret where a text is broken into lines."""


def unmasked(text: str) -> str:
    """Return a text as it is, where nothing was sent in confidence.

    :param text: any text.
    """
    return text


def masking(secrets: Iterable[str]) -> Mask:
    """Return a function that masks secrets in a text, as they are or percent-encoded.

    :param secrets: to be hidden; shorter ones than four characters are no secrets.
    """
    forms = {form for secret in secrets for form in (secret, quote(secret, safe="")) if len(secret) >= _FEWEST_CHARS}
    if not forms:
        return unmasked
    # Longest first: one secret may be a part of another.
    spelled = (_BETWEEN.join(map(re.escape, form)) for form in sorted(forms, key=len, reverse=True))
    pattern = re.compile("|".join(spelled))
    return lambda text: pattern.sub(_MASKED, text)


def proxy_secrets(url: str) -> tuple[str, ...]:
    """Return what an address holds in confidence: its password, and both names as they are sent.

    :param url: the address of a proxy.
    """
    credentials = url.partition("://")[2].rpartition("@")[0]
    if not credentials:
        return ()
    user, _, password = credentials.partition(":")
    sent = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode("ascii")
    # Without a password, a token stands in the place of the user name.
    secret = password or user
    return tuple({secret, unquote(secret), sent} - {""})
