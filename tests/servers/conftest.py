"""Real servers for the tests. Each starts once, with models that the tests build."""

from __future__ import annotations

import subprocess
from collections.abc import Iterator
from pathlib import Path

import pytest

from tests.servers.running import KINDS, LOCAL_PYTHON, REPOSITORY, Kind, RealServer


@pytest.fixture(scope="session")
def models(tmp_path_factory) -> Path:
    """The folder with the models."""
    if not LOCAL_PYTHON.exists():
        pytest.skip("the servers are not installed: `make test-servers` installs them")
    folder = tmp_path_factory.mktemp("models")
    command = [str(LOCAL_PYTHON), "-m", "tests.servers.models", str(folder)]
    subprocess.run(command, cwd=REPOSITORY, check=True, capture_output=True)
    return folder


@pytest.fixture(scope="session", params=KINDS, ids=lambda kind: kind.name)
def kind(request) -> Kind:
    """Each kind of server that is installed."""
    if not request.param.needs.exists():
        pytest.skip(f"{request.param.name} is not installed")
    return request.param


@pytest.fixture(scope="session")
def lasting(kind, models) -> Iterator[RealServer]:
    """A server that runs all through the tests."""
    running = RealServer(kind, models)
    try:
        yield running.start()
    finally:
        running.stop()


@pytest.fixture
def server(lasting, monkeypatch) -> RealServer:
    """A server that runs, and its key in the environment."""
    _set_key(lasting.kind, monkeypatch)
    return lasting


@pytest.fixture
def mortal(kind, models, monkeypatch) -> Iterator[RealServer]:
    """A server for this test only, not yet started."""
    _set_key(kind, monkeypatch)
    running = RealServer(kind, models)
    try:
        yield running
    finally:
        running.stop()


def _set_key(kind: Kind, monkeypatch: pytest.MonkeyPatch) -> None:
    if kind.key:
        monkeypatch.setenv("OPENAI_API_KEY", kind.key)
