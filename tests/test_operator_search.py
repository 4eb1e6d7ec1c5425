"""Data-Juicer's operator search, which its MCP servers start with."""

from __future__ import annotations

import json
import os
import shutil
import subprocess
import sys
from pathlib import Path

import pytest
from data_juicer.ops.base_op import Filter, Grouper, Pipeline, Selector

import mergeit_ops.ops
from tests.conftest import REPOSITORY

# Data-Juicer runs a Mapper batch by batch, so our mappers are Pipelines.
BASES = {"mapper": Pipeline, "filter": Filter, "grouper": Grouper, "selector": Selector}
CLASSES = [getattr(mergeit_ops.ops, name) for name in mergeit_ops.ops.__all__]
KINDS = {cls._name: kind for cls in CLASSES for kind, base in BASES.items() if issubclass(cls, base)}

SEARCH = """
import json, sys
import mergeit_ops.ops
from data_juicer.tools.op_search import OPSearcher
searcher = OPSearcher()
ours = {name: record for name, record in searcher.all_ops.items() if record.source_path.startswith("mergeit_ops")}
found = {
    "kinds": {name: record.type for name, record in ours.items()},
    "undescribed": [name for name, record in ours.items() if not record.desc or not record.param_desc_map],
    "merge": [record["name"] for record in searcher.search_by_regex("merge", op_type="mapper")],
    "others": len(searcher.all_ops) - len(ours),
}
print("FOUND" + json.dumps(found))
"""


@pytest.fixture(scope="module")
def installed(tmp_path_factory) -> Path:
    """A folder with both packages, like the site-packages of an install that is not editable."""
    import data_juicer

    site = tmp_path_factory.mktemp("site-packages")
    skip = shutil.ignore_patterns("__pycache__")
    shutil.copytree(Path(data_juicer.__file__).parent, site / "data_juicer", ignore=skip)
    shutil.copytree(REPOSITORY / "mergeit_ops", site / "mergeit_ops", ignore=skip)
    return site


@pytest.mark.slow
def test_a_plain_install_is_found_with_every_operator_under_its_kind(installed, tmp_path):
    environment = os.environ | {"PYTHONPATH": str(installed)}
    run = subprocess.run(
        [sys.executable, "-c", SEARCH], capture_output=True, text=True, cwd=tmp_path, env=environment, timeout=240
    )
    lines = [line for line in run.stdout.splitlines() if line.startswith("FOUND")]
    assert lines, run.stderr[-2000:]
    found = json.loads(lines[0].removeprefix("FOUND"))
    assert found["kinds"] == KINDS
    assert found["undescribed"] == []
    assert "llm_pair_merger_mapper" in found["merge"]
    assert found["others"] > 100


def test_a_mapper_of_ours_is_not_mapped_batch_by_batch():
    from data_juicer.ops.base_op import Mapper

    from mergeit_ops.ops import LLMPairMergerMapper, SentenceEmbeddingMapper

    for operator in (LLMPairMergerMapper, SentenceEmbeddingMapper):
        assert issubclass(operator, Pipeline)
        assert not issubclass(operator, Mapper)


def test_check_says_whether_the_search_works(installed, tmp_path, capsys):
    from mergeit_ops import cli

    # The tests run in a checkout, with which Data-Juicer's search does not work.
    assert cli.main(["check"]) == 0
    said = next(line for line in capsys.readouterr().out.splitlines() if line.startswith("operator search"))
    assert "install mergeit-ops without --editable" in said
    environment = os.environ | {"PYTHONPATH": str(installed)}
    run = subprocess.run(
        [sys.executable, "-m", "mergeit_ops", "check"],
        capture_output=True,
        text=True,
        cwd=tmp_path,
        env=environment,
        timeout=240,
    )
    assert any(line.split() == ["operator", "search", "works"] for line in run.stdout.splitlines()), run.stdout
