"""Check a server's address, and whether it belongs to this machine."""

from __future__ import annotations

import ipaddress
import re
from urllib.parse import SplitResult, parse_qsl, urljoin, urlsplit

from mergeit_ops.core.secrets import shown_url

__all__ = ["address_problem", "endpoint_problem", "host_problem", "is_http_url", "is_of_this_machine", "redirected"]

_EXAMPLE = "http://127.0.0.1:8000/v1"
_SCHEMES = ("http", "https")
_NAMES_OF_THIS_MACHINE = {"localhost", "localhost.localdomain", "ip6-localhost", "ip6-loopback"}
_MAX_PORT = 65535
_MAX_CHARS = 1000
_HOST_NAME = re.compile(r"[A-Za-z0-9_-]{1,63}(\.[A-Za-z0-9_-]{1,63})*\.?")
_NO_PART_OF_A_URL = re.compile(r"[<>{}|^`\"]")
_FIELD = re.compile(r"[A-Za-z][A-Za-z_-]{0,23}")
_NUMBER_LAST = re.compile(r"(.*\.)?[0-9]+\.?")
_SCHEME = re.compile(r"([A-Za-z][A-Za-z0-9+.-]*):(?=/)")
_ENDPOINTS = ("chat/completions", "completions", "responses", "embeddings")
"""Paths that the client appends to a base URL; longest first."""


def is_http_url(text: str) -> bool:
    """Return whether a text is an http or https address with a host.

    :param text: any text.
    """
    try:
        parts = urlsplit(text)
        return parts.scheme in _SCHEMES and bool(parts.hostname) and (parts.port is None or parts.port > 0)
    except ValueError:
        return False


def is_of_this_machine(url: str) -> bool:
    """Return whether an address belongs to this machine, so that no proxy is needed.

    :param url: an http or https address.
    """
    host = (urlsplit(url).hostname or "").rstrip(".").lower()
    if host in _NAMES_OF_THIS_MACHINE or host.endswith(".localhost"):
        return True
    try:
        address = ipaddress.ip_address(host.partition("%")[0])
    except ValueError:
        return False
    mapped = getattr(address, "ipv4_mapped", None)
    address = mapped or address
    return address.is_loopback or address.is_unspecified


def address_problem(name: str, url: object, endpoint: str | None = None) -> str | None:
    """Return why a base URL cannot work.

    :param name: name of the parameter or variable that holds it.
    :param url: the value, without surrounding blanks.
    :param endpoint: the path that is appended to it; None if there is none.
    :return: one sentence without user name, password and query; None if it can work.
    """
    if not isinstance(url, str) or not url:
        return f"{name} must be an http:// or https:// address such as {_EXAMPLE}, got {url!r}."
    return _general_problem(name, url) or _query_problem(name, url) or _doubled_path(name, url, endpoint)


def endpoint_problem(endpoint: str) -> str | None:
    """Return why an `api_endpoint` cannot work: a path below the base URL, or a whole address.

    :param endpoint: the value.
    """
    if "://" in endpoint:
        return _general_problem("api_endpoint", endpoint)
    if endpoint.startswith("//"):
        return f"api_endpoint must begin with one slash, or with http:// or https://, got {shown_url(endpoint)!r}."
    if _has_blanks(endpoint):
        return f"api_endpoint must not contain blanks or line breaks, got {shown_url(endpoint)!r}."
    if "#" in endpoint:
        return f"api_endpoint must not contain '#', got {shown_url(endpoint)!r}."
    return _query_problem("api_endpoint", endpoint)


def host_problem(host: str | None) -> str | None:
    """Return why a host name cannot work.

    :param host: as `urlsplit` returns it.
    :return: the end of a sentence that begins with the name of the value; None if the name can work.
    """
    if not host:
        return "has no host name"
    if ":" in host or _NUMBER_LAST.fullmatch(host):
        try:
            ipaddress.ip_address(host)
        except ValueError:
            return f"holds {host!r}, which is not an IP address"
        return None
    try:
        plain = host if host.isascii() else host.encode("idna").decode("ascii")
    except UnicodeError:
        plain = ""
    return None if _HOST_NAME.fullmatch(plain) else f"holds {host!r}, which is not a host name"


def redirected(location: str, asked: str, endpoint: str) -> tuple[str, str]:
    """Return the target of a redirect, and the base URL that it suggests.

    :param location: location from the server; it may be relative or not an address.
    :param asked: the requested address.
    :param endpoint: the requested path below the base URL.
    :return: both without user name, password and query; the second without the endpoint at its end.
    """
    try:
        target = shown_url(urljoin(asked, location)) if location else "nowhere"
    except ValueError:
        target = shown_url(location)
    target = "".join(char if char.isprintable() else "?" for char in target)[:_MAX_CHARS]
    path = "/" + endpoint.strip("/")
    bare = target.rstrip("/")
    return target, bare[: -len(path)] if not is_http_url(endpoint) and bare.endswith(path) else target


def _general_problem(name: str, url: str) -> str | None:
    shown = shown_url(url)
    if len(url) > _MAX_CHARS:
        return f"{name} must be an address of at most {_MAX_CHARS} characters, got {len(url)}."
    if _has_blanks(url):
        return f"{name} must not contain blanks or line breaks, got {shown!r}: write the address without them."
    if "\\" in url:
        return f"{name} must be written with slashes, not backslashes, got {shown!r}."
    placeholder = _NO_PART_OF_A_URL.search(url)
    if placeholder is not None:
        return f"{name} must not contain {placeholder[0]!r}, got {shown!r}: replace it with its value."
    scheme, separator, rest = url.partition("://")
    if not separator:
        return f"{name} must begin with http:// or https://, such as {_EXAMPLE}, got {shown!r}{_suggestion(url)}."
    if scheme.lower() not in _SCHEMES:
        return f"{name} must begin with http:// or https://, got {shown!r}."
    authority = re.split(r"[/?#]", rest, maxsplit=1)[0]
    problem = _parts_problem(url)
    if "@" in authority or ("@" in rest and problem is not None):
        return (
            f"{name} must not contain a user name or a password, got {shown!r}: remove them, and set the environment "
            "variable OPENAI_API_KEY to the key that the server asks for."
        )
    if problem is not None:
        return f"{name} {problem}, got {shown!r}: it must be an address such as {_EXAMPLE}."
    if "#" in rest:
        return f"{name} must not contain a fragment ('#' and what follows it), got {shown!r}: remove it."
    return None


def _parts_problem(url: str) -> str | None:
    try:
        parts = urlsplit(url)
    except ValueError:
        return "has brackets without an IPv6 address in them"
    return host_problem(parts.hostname) or _port_problem(parts)


def _port_problem(parts: SplitResult) -> str | None:
    try:
        port = parts.port
    except ValueError:
        port = 0
    # The port is not shown, because it may be a part of a password.
    return f"has a port that is not a number from 1 to {_MAX_PORT}" if port == 0 else None


def _query_problem(name: str, url: str) -> str | None:
    place, separator, query = url.partition("?")
    if not separator:
        return None
    # A part without a value, or one that is not a plain name, may itself be a key.
    fields = ", ".join(field for field, _ in parse_qsl(query) if _FIELD.fullmatch(field))
    what = f" ({fields})" if fields else ""
    return (
        f"{name} must not contain a query{what}, got one after {shown_url(place)!r}: put what is not secret into "
        "default_query of model_params, and a key into the environment variable OPENAI_API_KEY."
    )


def _doubled_path(name: str, url: str, endpoint: str | None) -> str | None:
    if endpoint is None or is_http_url(endpoint):
        return None
    path = urlsplit(url).path.strip("/")
    behind = re.split(r"[?#]", endpoint, maxsplit=1)[0].strip("/")
    for known in (behind, *_ENDPOINTS):
        if known and f"/{path.lower()}".endswith(f"/{known.lower()}"):
            shorter = shown_url(url).rstrip("/")[: -len(known)].rstrip("/")
            return (
                f"{name} must not end in /{known}, which is appended to it (api_endpoint), got {shown_url(url)!r}: "
                f"write {shorter}."
            )
    before, after = path.split("/"), behind.split("/")
    for length in range(min(len(before), len(after)), 0, -1):
        if before[-length:] == after[:length] and before[-length]:
            part = "/" + "/".join(after[:length])
            return (
                f"{name} ends in {part}, and api_endpoint {shown_url(endpoint)!r} begins with it, so requests would go "
                f"to {shown_url(url).rstrip('/')}/{behind}: remove {part} from one of them."
            )
    return None


def _has_blanks(text: str) -> bool:
    return not text.isprintable() or any(char.isspace() for char in text)


def _suggestion(url: str) -> str:
    scheme = _SCHEME.match(url)
    rest = (url[scheme.end() :] if scheme else url).lstrip("/")
    if scheme is not None and scheme[1].lower() not in _SCHEMES:
        return ""
    guesses = [f"{known}://{rest}" for known in ([scheme[1].lower()] if scheme else _SCHEMES)]
    possible = "@" not in rest and "?" not in rest and _general_problem("", guesses[0]) is None
    return f"; perhaps {' or '.join(guesses)}" if possible else ""
