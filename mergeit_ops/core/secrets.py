"""Find credentials in the parameters of a recipe, and show addresses without credentials."""

from __future__ import annotations

import re
from collections.abc import Iterator, Mapping
from typing import Any
from urllib.parse import parse_qsl, urlsplit

__all__ = ["loggable", "secret_in", "shown_url"]

# Compared with names in lower case whose words are joined by "_".
_SECRET_NAME = re.compile(
    r"(.*_)?(api_?keys?|(access|secret|private|subscription|account)_key|accesskey|secretkey|privatekey"
    r"|(access|auth|api|bearer|refresh|session|secret|hf|github|id)_?token|client_secret|secret|passwords?|passwd"
    r"|credentials?|authorization)"
    r"|token|cookie|set_cookie|use_auth_token"
)
_SECRET_QUERY_NAMES = {"key", "code", "sig", "signature", "auth"}
_WORD_BORDER = re.compile(r"(?<=[a-z0-9])(?=[A-Z])|[-\s.]+")
_SECRET_VALUE = re.compile(r"\s*(bearer\s+\S+|sk-[A-Za-z0-9_-]{13,})\s*", re.IGNORECASE)
_URL = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*://\S+")
_STRANGE_PORT = re.compile(r":[^\]]*[^0-9\]][^\]]*$")
_MAX_DEPTH = 64


def secret_in(parameters: Any) -> str | None:
    """Find the first entry that looks like a credential.

    These entries do: a non-empty entry with the name of a credential (`api_key`, `x-api-key`, `token`, `password`,
    ...), a bearer token or an `sk-` key, and an address with a user name or with a key in its query. Flags, empty
    values and counts such as `max_tokens` are not credentials.

    :param parameters: mappings and lists of any depth, or a single value.
    :return: the dotted path of the entry, with list positions from 0; an empty text if `parameters` itself is the
        credential; None if there is none. It never contains a value.
    """
    return next(_secrets(parameters, "", 0), None)


def loggable(parameters: Mapping[str, Any]) -> dict[str, Any]:
    """Return the parameters of a recipe without possible secrets; of a client's parameters, only its addresses are
    kept.

    :param parameters: maps names to values; `model_params`, at any depth, are the client's.
    """
    return {
        name: _shown_client(value)
        if name == "model_params"
        else loggable(value)
        if isinstance(value, Mapping)
        else value
        for name, value in parameters.items()
    }


def shown_url(url: str) -> str:
    """Return an address that may be logged, without user name, password, query and fragment.

    :param url: any text. If it cannot be read as an address, it is shown up to the first `?` or `#`, without the part
        before an `@`. If an `@` follows these, only the scheme is shown.
    """
    scheme, separator, rest = url.partition("://")
    if not separator:
        scheme, rest = "", url
    place, *hidden = re.split(r"[?#]", rest, maxsplit=1)
    if "@" not in place and any("@" in part for part in hidden):
        # The "?" or "#" may be part of a password.
        return f"{scheme}{separator}..."
    authority, slash, path = place.partition("/")
    # A password may contain an unescaped slash, so nothing before the last "@" is shown.
    if "@" in path:
        authority, slash, path = path.rpartition("@")[2].partition("/")
    return f"{scheme}{separator}{authority.rpartition('@')[2]}{slash}{path}"


def _shown_client(params: Any) -> dict[str, str]:
    if not isinstance(params, Mapping) or "base_url" not in params:
        return {}
    return {"base_url": shown_url(str(params["base_url"]))}


def _secrets(value: Any, path: str, depth: int) -> Iterator[str]:
    if depth > _MAX_DEPTH:
        return
    if isinstance(value, Mapping):
        for name, entry in value.items():
            below = f"{path}.{name}" if path else str(name)
            if _names_a_secret(str(name)) and _holds_something(entry):
                yield below
            yield from _secrets(entry, below, depth + 1)
    elif isinstance(value, (list, tuple, set, frozenset)):
        for position, entry in enumerate(value):
            yield from _secrets(entry, f"{path}.{position}" if path else str(position), depth + 1)
    elif isinstance(value, bytes):
        yield from _secrets(value.decode("utf-8", "replace"), path, depth + 1)
    elif isinstance(value, str) and _is_a_secret(value):
        yield path


def _names_a_secret(name: str) -> bool:
    return _SECRET_NAME.fullmatch(_WORD_BORDER.sub("_", name.strip()).lower()) is not None


def _holds_something(value: Any) -> bool:
    return value is not None and not isinstance(value, bool) and value not in ("", b"", [], {}, ())


def _is_a_secret(text: str) -> bool:
    return _SECRET_VALUE.fullmatch(text) is not None or any(_url_has_secret(url) for url in _URL.findall(text))


def _url_has_secret(url: str) -> bool:
    scheme, _, rest = url.partition("://")
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    # A password may contain an unescaped slash; the part before it then looks like a host with a strange port.
    if "@" in authority or ("@" in rest and _STRANGE_PORT.search(authority)):
        return True
    try:
        query = parse_qsl(urlsplit(f"{scheme}://{rest}").query)
    except ValueError:
        return False
    return any(name.lower() in _SECRET_QUERY_NAMES or _names_a_secret(name) for name, _ in query)
