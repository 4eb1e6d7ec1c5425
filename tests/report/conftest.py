"""A whole run that several sections are tested with."""

from __future__ import annotations

import pytest

from tests.recipe_runs import run_recipe, write_jsonl, write_recipe
from tests.test_whole_runs import pipeline


@pytest.fixture(scope="session")
def whole_run(tmp_path_factory, embedded_rows):
    """Export and input of a run: 120 rows, of which some merges pass and some do not."""
    folder = tmp_path_factory.mktemp("real")
    data = write_jsonl(folder / "in.jsonl", embedded_rows)
    return run_recipe(write_recipe(folder, pipeline(gamma=1.4), data)), data
