"""The package itself: the cost of its import, its metadata, and documents that must agree with the code."""

from __future__ import annotations

import ast
import pkgutil
import re
import subprocess
import sys

import pytest

import mergeit_ops.core
from tests.conftest import REPOSITORY


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(printed.stdout.split())


def test_data_juicer_starts_without_models_or_clients():
    """Data-Juicer pays for this import at every start, even for recipes without our operators."""
    loaded = modules_after("import data_juicer.ops")
    assert "mergeit_ops.ops.topic_cluster_grouper" in loaded
    heavy = {"torch", "sklearn", "scipy", "submodlib", "sentence_transformers", "transformers", "openai"}
    assert loaded & heavy == set()


def test_commands_load_what_they_need_when_they_run():
    loaded = modules_after("import mergeit_ops.cli")
    heavy = {"plotly", "jinja2", "sklearn", "torch", "datasets", "pyarrow", "mergeit_ops.report", "mergeit_ops.compare"}
    heavy.add("mergeit_ops.training")
    assert loaded & heavy == set()


def test_core_needs_neither_data_juicer_nor_models():
    modules = [found.name for found in pkgutil.walk_packages(mergeit_ops.core.__path__, "mergeit_ops.core.")]
    loaded = modules_after("import " + ", ".join(modules))
    assert loaded & {"data_juicer", "datasets", "openai", "torch", "sentence_transformers"} == set()


def test_only_operators_import_data_juicer():
    """Data-Juicer loads our operators during its own import, when a module that imports it is only half loaded.

    A Ray worker first imports the modules of its task, in any order.
    """
    every = [found.name for found in pkgutil.walk_packages(mergeit_ops.__path__, "mergeit_ops.")]
    others = [name for name in every if not name.startswith("mergeit_ops.ops") and not name.endswith("__main__")]
    assert len(others) > 100
    assert "data_juicer" not in modules_after("import " + ", ".join(others))


def test_no_two_classes_have_one_name():
    """Class names are unique, so that a reader finds a class by its name."""
    places: dict[str, list[str]] = {}
    for path in sorted((REPOSITORY / "mergeit_ops").rglob("*.py")):
        for node in ast.walk(ast.parse(path.read_text(encoding="utf-8"))):
            if isinstance(node, ast.ClassDef) and not node.name.startswith("_"):
                places.setdefault(node.name, []).append(str(path.relative_to(REPOSITORY)))
    assert len(places) > 100
    assert {name: found for name, found in places.items() if len(found) > 1} == {}


LAYERS = (
    "worker",
    "progress",
    "core",
    "errors",
    "folders",
    "constraints",
    "embedding",
    "llm",
    "scorers",
    "dataset",
    "jobs",
    "distributed",
    "ops",
    "runs",
    "report",
    "compare",
    "training",
    "cli",
)
"""Folders and modules of the package: each may import those before it."""


@pytest.mark.parametrize("layer", LAYERS)
def test_each_layer_imports_only_those_below(layer):
    above = set(LAYERS[LAYERS.index(layer) + 1 :])
    folder = REPOSITORY / "mergeit_ops" / layer
    for path in folder.rglob("*.py") if folder.is_dir() else [folder.with_suffix(".py")]:
        imported = set(re.findall(r"(?:from|import) mergeit_ops\.(\w+)", path.read_text(encoding="utf-8")))
        assert not imported & above, path


def test_every_part_of_the_package_is_a_layer():
    parts = {path.stem for path in (REPOSITORY / "mergeit_ops").iterdir() if path.suffix in ("", ".py")}
    assert parts - {"__init__", "__main__", "__pycache__", "py"} == set(LAYERS)


def has_logic(source: str) -> bool:
    """Return whether a module has a function with a body. Protocols, constants, fields and re-exports have none."""
    nodes = ast.walk(ast.parse(source))
    functions = [node for node in nodes if isinstance(node, (ast.FunctionDef, ast.AsyncFunctionDef))]
    return any(_does_something(part) for function in functions for part in function.body)


def _does_something(part: ast.stmt) -> bool:
    return not (isinstance(part, ast.Pass) or (isinstance(part, ast.Expr) and isinstance(part.value, ast.Constant)))


def test_the_test_of_a_module_is_found_by_its_path():
    package = REPOSITORY / "mergeit_ops"
    modules = [path for path in package.rglob("*.py") if not path.name.startswith("__")]
    missing = {
        str(path.relative_to(package).with_suffix(""))
        for path in modules
        if not (REPOSITORY / "tests" / path.relative_to(package).parent / f"test_{path.name}").exists()
        and has_logic(path.read_text(encoding="utf-8"))
    }
    assert len(modules) > 300
    assert missing == set()


def test_finished_runs_are_read_without_operators_models_or_clients():
    for layer in ("runs", "report"):
        for path in (REPOSITORY / "mergeit_ops" / layer).rglob("*.py"):
            imported = set(re.findall(r"(?:from|import) mergeit_ops\.(\w+)", path.read_text(encoding="utf-8")))
            assert not imported & {"llm", "scorers", "jobs", "distributed", "ops"}, path


def test_the_page_of_recipes_names_every_recipe():
    text = (REPOSITORY / "docs" / "recipes.md").read_text(encoding="utf-8")
    for path in (REPOSITORY / "recipes").glob("*.yaml"):
        assert f"| `{path.name}` |" in text
