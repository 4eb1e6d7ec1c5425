"""The published archives: files that must be in them, and files that must not."""

from __future__ import annotations

import pytest
import yaml

from scripts.check_distribution import faults, package_files, recipe_files
from tests.conftest import REPOSITORY

RECIPES = recipe_files("mergeit_ops/")
WHOLE = package_files() | RECIPES | {"mergeit_ops-0.1.0.dist-info/licenses/LICENSE"}
WEIGHTS = "mergeit_ops/scorers/distilled_weights/weights.npz"


def test_the_package_and_its_licence_are_whole():
    assert WEIGHTS in WHOLE
    assert faults(WHOLE, "wheel", RECIPES) == []


@pytest.mark.parametrize(
    "name", [WEIGHTS, "mergeit_ops/core/sample.py", "mergeit_ops/recipes/data/recorded_answers.jsonl"]
)
def test_a_file_of_the_package_that_is_not_there_is_named(name):
    assert faults(WHOLE - {name}, "wheel", RECIPES) == [f"wheel: {name} is missing."]


@pytest.mark.parametrize("name", ["tests/test_package.py", "mergeit_ops/__pycache__/errors.pyc", "outputs/report.html"])
def test_what_does_not_belong_there_is_named(name):
    assert faults(WHOLE | {name}, "wheel", RECIPES) == [f"wheel: {name} does not belong there."]


def test_the_licence_of_the_weights_does_not_stand_in_for_that_of_the_code():
    assert faults(package_files() | RECIPES, "wheel", RECIPES) == ["wheel: LICENSE is missing."]


def test_the_citation_names_the_version_and_the_paper():
    cited = yaml.safe_load((REPOSITORY / "CITATION.cff").read_text(encoding="utf-8"))
    pyproject = (REPOSITORY / "pyproject.toml").read_text(encoding="utf-8")
    assert f'version = "{cited["version"]}"' in pyproject
    assert "2503.00034" in cited["references"][0]["url"]
