"""Hide secrets if a server repeats them."""

from __future__ import annotations

import base64
import re
from collections.abc import Callable, Iterable
from urllib.parse import quote, unquote

__all__ = ["Mask", "masking", "proxy_secrets", "unmasked"]

Mask = Callable[[str], str]
"""A function that returns a text of a server without secrets."""

_MASKED = "***"
_FEWEST_CHARS = 4
"""Fewest characters of a secret; shorter texts occur in many words."""
_BETWEEN = "[\\s\x00-\x1f\u00ad\u200b-\u200f\u2060\ufeff]*"
"""What may separate the characters of a secret if a text is broken into lines."""


def unmasked(text: str) -> str:
    """Return a text unchanged, if there are no secrets.

    :param text: any text.
    """
    return text


def masking(secrets: Iterable[str]) -> Mask:
    """Return a function that masks secrets in a text, as they are or percent-encoded.

    :param secrets: secrets to hide; texts of fewer than four characters are ignored.
    """
    forms = {form for secret in secrets for form in (secret, quote(secret, safe="")) if len(secret) >= _FEWEST_CHARS}
    if not forms:
        return unmasked
    # Longest first, because one secret may be a part of another.
    spelled = (_BETWEEN.join(map(re.escape, form)) for form in sorted(forms, key=len, reverse=True))
    pattern = re.compile("|".join(spelled))
    return lambda text: pattern.sub(_MASKED, text)


def proxy_secrets(url: str) -> tuple[str, ...]:
    """Return the secrets of an address: its password, and user name and password as they are sent.

    :param url: the address of a proxy.
    """
    credentials = url.partition("://")[2].rpartition("@")[0]
    if not credentials:
        return ()
    user, _, password = credentials.partition(":")
    sent = base64.b64encode(f"{unquote(user)}:{unquote(password)}".encode()).decode("ascii")
    # Without a password, the user name is a token.
    secret = password or user
    return tuple({secret, unquote(secret), sent} - {""})
