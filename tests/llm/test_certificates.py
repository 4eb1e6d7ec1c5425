"""Certificates that the environment names: those that cannot be used are named with their variable."""

from __future__ import annotations

import os
from pathlib import Path

import pytest

from tests.llm.refusals import ELSEWHERE, HERE, refusal


def certificates(tmp_path: Path) -> dict[str, tuple[str, str, str]]:
    """Return variable, value and a word of the sentence for each way to get certificates wrong."""
    (tmp_path / "text.pem").write_text("no certificate")
    (tmp_path / "empty.pem").write_text("")
    (tmp_path / "half.pem").write_text("-----BEGIN CERTIFICATE-----\nMIIB\n-----END CERTIFICATE-----\n")
    (tmp_path / "binary.pem").write_bytes(bytes(range(256)))
    (tmp_path / "folder").mkdir()
    return {
        "missing": ("SSL_CERT_FILE", str(tmp_path / "none.pem"), "does not exist"),
        "below a file": ("SSL_CERT_FILE", str(tmp_path / "text.pem" / "x"), "does not exist"),
        "a tilde": ("SSL_CERT_FILE", "~/ca.pem", "does not exist"),
        "a folder": ("SSL_CERT_FILE", str(tmp_path / "folder"), "is a folder"),
        "text": ("SSL_CERT_FILE", str(tmp_path / "text.pem"), "no certificate"),
        "empty": ("SSL_CERT_FILE", str(tmp_path / "empty.pem"), "no certificate"),
        "cut off": ("SSL_CERT_FILE", str(tmp_path / "half.pem"), "no certificate"),
        "binary": ("SSL_CERT_FILE", str(tmp_path / "binary.pem"), "no certificate"),
        "a device": ("SSL_CERT_FILE", os.devnull, "not a file of certificates"),
        "too long a name": ("SSL_CERT_FILE", "/" + "a" * 5000, "cannot be read"),
        "missing folder": ("SSL_CERT_DIR", str(tmp_path / "none"), "does not exist"),
        "a file as a folder": ("SSL_CERT_DIR", str(tmp_path / "text.pem"), "is a file"),
        "no hashed names": ("SSL_CERT_DIR", str(tmp_path / "folder"), "openssl rehash"),
        "several folders": ("SSL_CERT_DIR", f"{tmp_path / 'none'}{os.pathsep}{tmp_path / 'more'}", "does not exist"),
    }


def test_certificates_that_cannot_be_used_are_named_with_their_variable(tmp_path, monkeypatch):
    for variable, value, word in certificates(tmp_path).values():
        with monkeypatch.context() as patched:
            patched.setenv(variable, value)
            for url in (ELSEWHERE, "http://llm.example/v1", "https://127.0.0.1:8000/v1"):
                found = refusal({"base_url": url})
                assert found.startswith(f"{variable} names "), (value, url)
                assert word in found
            # Nothing is encrypted on the way to this machine.
            assert refusal({"base_url": HERE}) == ""


@pytest.mark.skipif(os.geteuid() == 0, reason="root may read everything")
def test_certificates_that_may_not_be_read(tmp_path, monkeypatch):
    closed = tmp_path / "ca.pem"
    closed.write_text("x")
    closed.chmod(0)
    monkeypatch.setenv("SSL_CERT_FILE", str(closed))
    assert "cannot be read" in refusal({"base_url": ELSEWHERE})
