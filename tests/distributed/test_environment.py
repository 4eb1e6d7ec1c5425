"""What goes from the driver to the workers of a cluster."""

from __future__ import annotations

import os

import pytest

from mergeit_ops.distributed import environment
from mergeit_ops.distributed.environment import DriverEnvironment

KEY = "Quiet-Harbour-8841-lantern"


@pytest.fixture(autouse=True)
def _driver(monkeypatch):
    monkeypatch.setattr(environment, "_from_driver", set())
    monkeypatch.setenv("OPENAI_API_KEY", KEY)
    monkeypatch.delenv("HF_TOKEN", raising=False)


def test_nothing_that_writes_it_down_sees_a_value():
    from ray.data._internal.metadata_exporter import sanitize_for_struct

    taken = DriverEnvironment()
    assert KEY not in repr(taken) + str(taken)
    assert KEY not in str(sanitize_for_struct([taken]))
    assert "OPENAI_API_KEY" in repr(taken)


def test_a_worker_keeps_what_it_has(monkeypatch):
    taken = DriverEnvironment()
    monkeypatch.setenv("OPENAI_API_KEY", "its-own")
    taken.apply()
    assert os.environ["OPENAI_API_KEY"] == "its-own"


def test_a_worker_that_is_used_again_gets_the_drivers_new_values(monkeypatch):
    first = DriverEnvironment()
    monkeypatch.setenv("OPENAI_API_KEY", "corrected")
    second = DriverEnvironment()
    monkeypatch.delenv("OPENAI_API_KEY")
    none = DriverEnvironment()
    for taken, expected in ((first, KEY), (second, "corrected"), (none, None)):
        taken.apply()
        assert os.environ.get("OPENAI_API_KEY") == expected
