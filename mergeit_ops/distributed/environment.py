"""The driver's environment variables that operators need on the workers of a cluster."""

from __future__ import annotations

import os

from mergeit_ops.embedding.defaults import HUB_VARIABLES
from mergeit_ops.llm.backend import variables_of_backends

_from_driver: set[str] = set()


class DriverEnvironment:
    """The values of these variables when the object is created.

    They travel as an argument of a task. Ray writes its `runtime_env` into logs and shows it on its dashboard, so
    they are not in it. Ray can also log the arguments of actors, and would log the values of a mapping. So this class
    is not a mapping, and its `repr` shows only names.
    """

    def __init__(self) -> None:
        names = dict.fromkeys((*variables_of_backends(), *HUB_VARIABLES))
        self._variables = {name: os.environ[name] for name in names if name in os.environ}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._variables)})"

    def apply(self) -> None:
        """Set the variables that this process does not have. The worker's own variables are not changed.

        Variables from an earlier driver may be out of date, so they are replaced or removed.
        """
        for name in sorted(_from_driver - self._variables.keys()):
            os.environ.pop(name, None)
            _from_driver.discard(name)
        for name, value in self._variables.items():
            if name in _from_driver or name not in os.environ:
                os.environ[name] = value
                _from_driver.add(name)
