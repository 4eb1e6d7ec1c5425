"""What an operator needs of the driver's environment on the workers of a cluster."""

from __future__ import annotations

import os
from collections.abc import Mapping

FORWARDED = ("OPENAI_API_KEY", "OPENAI_BASE_URL", "HF_TOKEN", "HF_HUB_OFFLINE", "MERGEIT_CACHE_DIR")
"""Variables that the operators read, or the libraries that they load models with."""


def driver_environment() -> dict[str, str]:
    """Return the variables to take along.

    They travel inside a task, not in Ray's `runtime_env`, which Ray writes into its logs and shows on its dashboard.
    """
    return {name: os.environ[name] for name in FORWARDED if name in os.environ}


def apply_environment(variables: Mapping[str, str]) -> None:
    """Set the variables that this process does not have: what a worker's own environment says comes first."""
    for name, value in variables.items():
        os.environ.setdefault(name, value)
