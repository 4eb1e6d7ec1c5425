"""The certificates that an encrypted connection is checked with, as far as the environment names them."""

from __future__ import annotations

import os
import re
import ssl
from pathlib import Path

__all__ = ["certificate_problem", "handshake_problem"]

_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
_OTHERS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CURE = "correct the variable, or unset it to trust the authorities that the system trusts."


def certificate_problem() -> str | None:
    """Say why the certificates that SSL_CERT_FILE or SSL_CERT_DIR names cannot be used.

    The first counts; the second only without it.

    :return: one sentence with the variable and the cure; None when they can be, or neither is set.
    """
    file = os.environ.get("SSL_CERT_FILE")
    if file:
        what = _problem_of_file(file)
        return None if what is None else f"SSL_CERT_FILE names {file!r}, which {what}: {_CURE}"
    folders = os.environ.get("SSL_CERT_DIR")
    if folders:
        what = _problem_of_folders(folders)
        return None if what is None else f"SSL_CERT_DIR names {folders!r}, which {what}: {_CURE}"
    return None


def handshake_problem(error: BaseException) -> str | None:
    """Say why no encrypted connection could be made.

    :param error: what the HTTP library raised.
    :return: part of a sentence; None when it was not for encryption.
    """
    found = _ssl_error(error)
    if found is None:
        return None
    if isinstance(found, ssl.SSLCertVerificationError):
        ignored = [name for name in _OTHERS if os.environ.get(name)]
        note = f"; {ignored[0]} is not read" if ignored and not os.environ.get("SSL_CERT_FILE") else ""
        reason = getattr(found, "verify_message", "") or "it cannot be verified"
        return (
            f"its certificate is not trusted: {reason}; set SSL_CERT_FILE to a PEM file with the authority that signed "
            f"it{note}"
        )
    if "WRONG_VERSION_NUMBER" in str(found) or "RECORD_LAYER_FAILURE" in str(found):
        return "it does not speak TLS: perhaps its address begins with http://"
    return f"no encrypted connection could be made ({found.reason or type(found).__name__})"


def _problem_of_file(file: str) -> str | None:
    path = Path(file)
    if not path.exists():
        return "does not exist"
    if path.is_dir():
        return "is a folder: SSL_CERT_DIR is the variable for folders"
    try:
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except ssl.SSLError:
        return "holds no certificate that can be read (PEM)"
    except OSError as error:
        return f"cannot be read ({error.strerror or type(error).__name__})"
    return None


def _problem_of_folders(folders: str) -> str | None:
    paths = [Path(folder) for folder in folders.split(os.pathsep) if folder]
    there = [path for path in paths if path.is_dir()]
    if not there:
        is_file = any(path.exists() for path in paths)
        return "is a file: SSL_CERT_FILE is the variable for files" if is_file else "does not exist"
    try:
        names = [name for path in there for name in os.listdir(path)]
    except OSError as error:
        return f"cannot be read ({error.strerror or type(error).__name__})"
    if not any(_HASHED.fullmatch(name) for name in names):
        return "holds no certificate under the name that OpenSSL looks for: run `openssl rehash` on it"
    return None


def _ssl_error(error: BaseException | None) -> ssl.SSLError | None:
    seen: set[int] = set()
    while error is not None and id(error) not in seen:
        seen.add(id(error))
        if isinstance(error, ssl.SSLError):
            return error
        inner = getattr(error, "certificate_error", None) or getattr(error, "os_error", None)
        if isinstance(inner, ssl.SSLError):
            return inner
        error = error.__cause__ or error.__context__
    return None
