"""The package itself: what importing it costs, what it says of itself, documents that must not drift."""

from __future__ import annotations

import json
import pkgutil
import re
import subprocess
import sys

import pytest

import mergeit_ops.core
from mergeit_ops import cli
from mergeit_ops.core.columns import META
from tests.conftest import REPOSITORY
from tests.recipe_runs import run_recipe, write_jsonl, write_recipe


def modules_after(statement: str) -> set[str]:
    code = f"{statement}; import sys; print('\\n'.join(sys.modules))"
    printed = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True, timeout=120)
    return set(printed.stdout.split())


def test_data_juicer_starts_without_models_or_clients():
    """What Data-Juicer pays at every start, for recipes that do not use us too."""
    loaded = modules_after("import data_juicer.ops")
    assert "mergeit_ops.ops.topic_cluster_grouper" in loaded
    heavy = {"torch", "sklearn", "scipy", "submodlib", "sentence_transformers", "transformers", "openai", "tenacity"}
    assert loaded & heavy == set()


def test_commands_load_what_they_need_when_they_run():
    loaded = modules_after("import mergeit_ops.cli")
    heavy = {"plotly", "jinja2", "sklearn", "torch", "datasets", "pyarrow", "mergeit_ops.report", "mergeit_ops.compare"}
    assert loaded & heavy == set()


def test_core_needs_neither_data_juicer_nor_models():
    modules = [found.name for found in pkgutil.walk_packages(mergeit_ops.core.__path__, "mergeit_ops.core.")]
    loaded = modules_after("import " + ", ".join(modules))
    assert loaded & {"data_juicer", "datasets", "openai", "torch", "sentence_transformers"} == set()


def test_only_operators_import_data_juicer():
    """Data-Juicer loads our operators while it is imported: a module that imports it is only half loaded by then.

    A worker of Ray imports the modules of its task first, in any order.
    """
    every = [found.name for found in pkgutil.walk_packages(mergeit_ops.__path__, "mergeit_ops.")]
    others = [name for name in every if not name.startswith("mergeit_ops.ops") and not name.endswith("__main__")]
    assert len(others) > 100
    assert "data_juicer" not in modules_after("import " + ", ".join(others))


LAYERS = (
    "worker",
    "core",
    "errors",
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


def test_finished_runs_are_read_without_operators_models_or_clients():
    for layer in ("runs", "report"):
        for path in (REPOSITORY / "mergeit_ops" / layer).rglob("*.py"):
            imported = set(re.findall(r"(?:from|import) mergeit_ops\.(\w+)", path.read_text(encoding="utf-8")))
            assert not imported & {"llm", "scorers", "jobs", "distributed", "ops"}, path


def test_check_finds_everything_registered(capsys):
    assert cli.main(["check"]) == 0
    assert "quality_gate_filter          registered" in capsys.readouterr().out


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("keep", [True, False])
def test_show_counts_and_shows_a_merge_beside_its_parents(tmp_path, embedded_rows, capsys, keep, suffix):
    process = [
        {"topic_cluster_grouper": {"num_clusters": 3}},
        {"llm_pair_merger_mapper": {"merge_strategy": "concat", "similarity_threshold": 0.4}},
    ]
    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    recipe = write_recipe(tmp_path, process, data, keep_stats_in_res_ds=keep)
    export = run_recipe(recipe, "--export_path", str(tmp_path / "out" / f"export.{suffix}"))
    capsys.readouterr()
    assert cli.main(["show", str(export)]) == 0
    printed = capsys.readouterr().out
    assert re.match(r"\d+ rows: \d+ original, \d+ merged\n\nMERGED by concat, similarity 0\.\d\d\n", printed)
    assert "  from parent 2\n    id: s" in printed


def test_show_shows_a_conversation_as_who_says_what(tmp_path, capsys):
    def chat(question):
        return {"conversations": [{"from": "human", "value": question}, {"from": "gpt", "value": "So.\nThus."}]}

    meta = {"merge_status": "merged", "merge_model": "m", "merge_similarity": 0.5, "merge_parents": []}
    parents = [json.dumps(chat(question)) for question in ("Why?", "How?")]
    row = chat("Why, and how?") | {"history": [], META: meta | {"merge_parents": parents}}
    assert cli.main(["show", str(write_jsonl(tmp_path / "export.jsonl", [row]))]) == 0
    printed = capsys.readouterr().out
    assert "    conversations:\n    human: Why, and how?\n    gpt: So.\n    Thus.\n    history: []\n" in printed
    assert "  from parent 1\n    conversations:\n    human: Why?\n" in printed


@pytest.mark.parametrize("content", ["[1, 2]", "PAR1\x00", "{", '{"instruction": "no lineage"}'])
def test_show_says_in_a_sentence_when_a_file_is_no_export(tmp_path, capsys, content):
    (tmp_path / "export.json").write_text(content, encoding="utf-8")
    assert cli.main(["show", str(tmp_path / "export.json")]) == 1
    (line,) = capsys.readouterr().err.splitlines()
    assert line.startswith(f"error: {tmp_path / 'export.json'}")


def test_show_says_when_there_is_no_such_file(tmp_path, capsys):
    assert cli.main(["show", str(tmp_path / "none.jsonl")]) == 1
    assert capsys.readouterr().err.startswith("error: There is no file or folder")


def test_the_readme_names_every_recipe():
    text = (REPOSITORY / "README.md").read_text(encoding="utf-8")
    for path in (REPOSITORY / "recipes").glob("*.yaml"):
        assert f"| `{path.name}` |" in text
