"""The proxy for a request, from the usual environment variables."""

from __future__ import annotations

import ipaddress
import os
import re
from dataclasses import dataclass, field
from importlib.util import find_spec
from urllib.parse import urlsplit
from urllib.request import getproxies

from mergeit_ops.core.secrets import shown_url
from mergeit_ops.llm.address import host_problem, is_of_this_machine

__all__ = ["Proxy", "proxy_for"]

_SOCKS = ("socks5", "socks5h")
_SCHEMES = ("http", "https", *_SOCKS)
_BRACKETS = re.compile(r"^\[([^\]]*)\](|/[0-9]+)$")
_ONE_SLASH = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:/")
_PORTS = {"http": 80, "https": 443}


@dataclass(frozen=True)
class Proxy:
    """A proxy that the environment names.

    :param url: its address, which may contain a user name and a password. These are never shown.
    :param variable: the variable that names it.
    """

    url: str = field(repr=False)
    variable: str

    def __str__(self) -> str:
        return f"the proxy {shown_url(self.url)} ({self.variable})"

    @property
    def needs_certificates(self) -> bool:
        """Whether the connection to the proxy is encrypted."""
        return self.url.lower().startswith("https:")

    def problem(self) -> str | None:
        """Return why it cannot be used, as one sentence with the variable and the remedy; None if it can."""
        shown = shown_url(self.url)
        scheme = self.url.partition("://")[0].lower()
        if scheme not in _SCHEMES:
            known = ", ".join(f"{known}://" for known in _SCHEMES)
            return f"{self._named} must begin with one of {known}, got {shown!r}{self._cure}"
        what = self._parts_problem()
        if what is not None:
            escaped = ", with a user name and a password percent-encoded" if "@" in self.url else ""
            return f"{self._named} {what}, got {shown!r}: write it as http://host:port{escaped}{self._or_unset}"
        if scheme in _SOCKS and find_spec("socksio") is None:
            return (
                f"{self._named} is a SOCKS proxy ({shown}), which needs a package that is not installed: run "
                f"pip install socksio (which httpx[socks] brings){self._or_unset}"
            )
        return None

    @property
    def _named(self) -> str:
        return f"The proxy in {self.variable}"

    @property
    def _cure(self) -> str:
        return f": correct the variable{self._or_unset}"

    @property
    def _or_unset(self) -> str:
        return ", or unset it, or name the LLM server's host in NO_PROXY if it needs no proxy."

    def _parts_problem(self) -> str | None:
        if not self.url.isprintable() or " " in self.url:
            return "contains blanks or line breaks"
        try:
            parts = urlsplit(self.url)
            host = parts.hostname
        except ValueError:
            return "has brackets without an IPv6 address in them"
        try:
            port = parts.port
        except ValueError:
            port = 0
        if port == 0:
            return "has a port that is not a number from 1 to 65535"
        return "has no host name" if not host else "has a host name that is not valid" if host_problem(host) else None


def proxy_for(url: str) -> Proxy | None:
    """Return the proxy that requests to an address go through.

    HTTPS_PROXY or HTTP_PROXY names it, depending on the address's scheme, else ALL_PROXY; lower-case names work too.
    There is no proxy for an address of this machine, or for one that NO_PROXY names: a host (with its subdomains),
    `.domain` or `*.domain` (only the subdomains), `host:port`, an IP address or network, or `*`.

    :param url: an http or https address.
    """
    if is_of_this_machine(url):
        return None
    scheme = urlsplit(url).scheme
    known = getproxies()
    if any(_covers(entry.strip(), url) for entry in known.get("no", "").split(",")):
        return None
    for name in (scheme, "all"):
        proxy = known.get(name, "").strip()
        if proxy:
            return Proxy(
                proxy if "://" in proxy or _ONE_SLASH.match(proxy) else f"http://{proxy}", _variable(f"{name}_proxy")
            )
    return None


def _variable(name: str) -> str:
    # Like `getproxies`: lower-case names first, then other spellings.
    spelled = [name, *(known for known in os.environ if known.lower() == name)]
    return next((known for known in spelled if os.environ.get(known)), "the proxy settings of the system")


def _covers(entry: str, url: str) -> bool:
    """Return whether an entry of NO_PROXY names the host of an address."""
    if not entry or entry == "*":
        return entry == "*"
    parts = urlsplit(url)
    scheme, separator, rest = entry.lower().partition("://")
    if separator and scheme not in (parts.scheme, "all"):
        return False
    host = (parts.hostname or "").lower()
    pattern = rest if separator else entry.lower()
    if _network(pattern) is None:
        pattern, port = _without_port(pattern)
        if port is not None and port != (parts.port or _PORTS[parts.scheme]):
            return False
    network = _network(pattern)
    if network is not None:
        try:
            return ipaddress.ip_address(host) in network
        except ValueError:
            return False
    pattern = pattern.removeprefix("*").rstrip(".")
    if pattern.startswith("."):
        return host.endswith(pattern)
    if pattern == "localhost" or separator:
        return host == pattern
    return bool(pattern) and (host == pattern or host.endswith(f".{pattern}"))


def _network(text: str) -> ipaddress.IPv4Network | ipaddress.IPv6Network | None:
    try:
        return ipaddress.ip_network(_BRACKETS.sub(r"\1\2", text), strict=False)
    except ValueError:
        return None


def _without_port(pattern: str) -> tuple[str, int | None]:
    host, separator, port = pattern.rpartition(":")
    if separator and port.isascii() and port.isdigit() and (host.endswith("]") or ":" not in host):
        return host, int(port)
    return pattern, None
