"""A recipe for Ray on a machine where no cluster runs."""

from __future__ import annotations

from collections.abc import Sequence

from mergeit_ops.dataset.recipe import current_recipe

__all__ = ["explain_no_cluster"]

_SAID_BY_RAY = "Could not find any running Ray instance"


def explain_no_cluster(causes: Sequence[BaseException]) -> str | None:
    """Return how to start Ray, if Data-Juicer has found no cluster; None for other errors.

    Ray names options of its own commands, which Data-Juicer's do not have.

    :param causes: the error and its causes.
    """
    recipe = current_recipe()
    if recipe is None or not any(step.is_ours for step in recipe.steps):
        return None
    if not any(isinstance(cause, ConnectionError) and _SAID_BY_RAY in str(cause) for cause in causes):
        return None
    return (
        "No Ray cluster runs on this machine, and Data-Juicer's default ray_address: auto starts none. Set "
        "ray_address: local, or add --ray_address local, to start Ray here for this run; or give the address of your "
        "cluster."
    )
