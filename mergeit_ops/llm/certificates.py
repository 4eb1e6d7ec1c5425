"""The certificates that the environment names for encrypted connections."""

from __future__ import annotations

import os
import re
import ssl
import stat

__all__ = ["certificate_problem", "handshake_problem"]

_HASHED = re.compile(r"[0-9a-f]{8}\.\d+")
_OTHERS = ("REQUESTS_CA_BUNDLE", "CURL_CA_BUNDLE")
_CURE = "correct the variable, or unset it to use the certificate authorities of the system."


def certificate_problem() -> str | None:
    """Return why the certificates of SSL_CERT_FILE or SSL_CERT_DIR cannot be used.

    SSL_CERT_DIR is used only without SSL_CERT_FILE.

    :return: one sentence with the variable and the remedy; None if they can be used, or neither is set.
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
    """Return why no encrypted connection could be made.

    :param error: exception of the HTTP library.
    :return: part of a sentence; None if encryption was not the reason.
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
    try:
        mode = os.stat(file).st_mode
        if stat.S_ISDIR(mode):
            return "is a folder (the variable for folders is SSL_CERT_DIR)"
        if not stat.S_ISREG(mode):
            return "is not a file of certificates"
        ssl.SSLContext(ssl.PROTOCOL_TLS_CLIENT).load_verify_locations(cafile=file)
    except ssl.SSLError:
        return "holds no certificate in PEM form"
    except OSError as error:
        return _unreadable(error)
    return None


def _problem_of_folders(folders: str) -> str | None:
    names: list[str] = []
    problem = None
    for folder in folders.split(os.pathsep):
        try:
            names += os.listdir(folder)
        except NotADirectoryError:
            problem = "is a file (the variable for files is SSL_CERT_FILE)"
        except OSError as error:
            problem = _unreadable(error)
    if any(_HASHED.fullmatch(name) for name in names):
        return None
    return problem or "holds no certificate under a name that OpenSSL looks for (`openssl rehash` makes such names)"


def _unreadable(error: OSError) -> str:
    if isinstance(error, (FileNotFoundError, NotADirectoryError)):
        return "does not exist"
    return f"cannot be read ({error.strerror or type(error).__name__})"


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
