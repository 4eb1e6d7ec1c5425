"""What an operator needs of the driver's environment on the workers of a cluster."""

from __future__ import annotations

import os

from mergeit_ops.embedding.defaults import HUB_VARIABLES
from mergeit_ops.llm.backend import variables_of_backends

_from_driver: set[str] = set()


class DriverEnvironment:
    """The variables to take along, as they are when this is made.

    They travel inside a task, not in Ray's `runtime_env`, which Ray writes into its logs and shows on its dashboard.
    Ray can also write down the arguments of actors, mappings with all that is in them: so this is no mapping, and
    shows names only.
    """

    def __init__(self) -> None:
        names = dict.fromkeys((*variables_of_backends(), *HUB_VARIABLES))
        self._variables = {name: os.environ[name] for name in names if name in os.environ}

    def __repr__(self) -> str:
        return f"{type(self).__name__}({', '.join(self._variables)})"

    def apply(self) -> None:
        """Set the variables that this process does not have: what a worker's own environment says comes first.

        Those that came from a driver before, and may be out of date, are replaced or taken away.
        """
        for name in sorted(_from_driver - self._variables.keys()):
            os.environ.pop(name, None)
            _from_driver.discard(name)
        for name, value in self._variables.items():
            if name in _from_driver or name not in os.environ:
                os.environ[name] = value
                _from_driver.add(name)
