"""On Ray, as in the default executor, recipes that would lose rows around our operators are stopped."""

from __future__ import annotations

import pytest

from mergeit_ops.core.columns import EMBEDDING, META
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, RecipeError
from tests.llm_server import FakeLLMServer
from tests.recipe_runs import read_export, run_recipe_on_ray
from tests.test_recipe_checks import FAILS_ON_LISTS, TEMPLATE, WORDS, chats, recipe_over, with_text, without
from tests.test_whole_runs import pipeline, work_dir_of

pytestmark = pytest.mark.usefixtures("ray_cluster")


def test_a_column_that_merging_empties_and_the_recipe_reads_stops_the_run_before_any_call(tmp_path, embedded_rows):
    with FakeLLMServer() as server:
        recipe = recipe_over(tmp_path, with_text(embedded_rows), [*pipeline(server, cache_path=None), WORDS], "text")
        with pytest.raises(
            RecipeError, match=r"the column 'text' would be null.*parents of \d+ merges.*before the grouper"
        ):
            run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "export"))
        assert server.requests == []


@pytest.mark.slow
def test_what_is_certain_is_said_before_any_row_is_embedded(tmp_path, embedded_rows):
    rows = without(with_text(embedded_rows), EMBEDDING)
    process = pipeline()
    process[0]["topic_cluster_grouper"]["embedding_model"] = "a-model-that-is-not-there"
    with pytest.raises(RecipeError, match=r"the column 'text'.*No row was embedded"):
        run_recipe_on_ray(recipe_over(tmp_path, rows, process, "text"), "--export_path", str(tmp_path / "export"))


@pytest.mark.slow
@pytest.mark.parametrize("gamma", [0.01, 99.0])
def test_a_derived_column_is_written_and_what_is_emptied_is_counted(tmp_path, embedded_rows, gamma):
    process = [*pipeline(gamma=gamma, derived_columns={"text": TEMPLATE}), WORDS]
    recipe = recipe_over(tmp_path, with_text(embedded_rows), process, "text")
    export = run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export"))
    rows = read_export(export)
    assert {row[META]["merge_status"] for row in rows} == {"original", "merged" if gamma < 1 else "restored"}
    assert all(row["text"] == f"{row['query']}\n{row['response']}" for row in rows)
    merger = next(record for record in read_manifests(work_dir_of(export)) if "merger" in record["operator"])
    assert merger["figures"]["emptied_columns"] == {"id": merger["figures"]["merged"]}


def test_no_row_left_by_operators_before_ours_stops_the_run(tmp_path, embedded_rows):
    recipe = recipe_over(tmp_path, chats(embedded_rows), [FAILS_ON_LISTS, *pipeline()], "messages")
    with pytest.raises(DatasetError, match=r"^topic_cluster_grouper: no rows reached this .* after words_num_filter"):
        run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "export"))


@pytest.mark.slow
def test_no_row_left_between_two_operators_of_ours_stops_the_run(tmp_path, embedded_rows):
    strict = {"text_length_filter": {"text_key": "output", "min_len": 1_000_000}}
    recipe = recipe_over(tmp_path, embedded_rows, [*pipeline()[:3], strict, pipeline()[3]], "instruction")
    with pytest.raises(DatasetError, match=r"^quality_gate_filter: no rows reached this .* after text_length_filter"):
        run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "export"))


def test_a_recipe_that_ends_in_topics_is_refused(tmp_path, embedded_rows):
    recipe = recipe_over(tmp_path, embedded_rows, pipeline()[:2], "instruction")
    with pytest.raises(RecipeError, match="the rows are still topics at the end of the recipe"):
        run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "export"))
