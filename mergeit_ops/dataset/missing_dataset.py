"""A dataset that is not where the recipe or the command line says."""

from __future__ import annotations

from collections.abc import Sequence
from pathlib import Path

from mergeit_ops.dataset.recipe import current_recipe

__all__ = ["explain_missing_dataset"]

_NO_LOADER = "No data load strategy found for huggingface"


def explain_missing_dataset(causes: Sequence[BaseException]) -> str | None:
    """Return what to do if Data-Juicer takes a path without a file for a dataset of the Hugging Face Hub.

    :param causes: the error and its causes.
    :return: a sentence; None for other errors.
    """
    recipe = current_recipe()
    if recipe is None or not any(_NO_LOADER in str(cause) for cause in causes):
        return None
    path = getattr(recipe.config, "dataset_path", None)
    if not isinstance(path, str) or not path or Path(path).exists():
        return None
    return (
        f"There is no file or folder {path}, which dataset_path names. Relative paths start at the folder in which the "
        f"run starts, here {Path.cwd()}."
    )
