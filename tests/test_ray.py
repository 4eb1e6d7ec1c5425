"""The operators on Ray: a recipe gives the same rows as in the default executor."""

from __future__ import annotations

import itertools
import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import numpy as np
import pytest

from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.core.vectors import decode_vectors
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.embedding.precision import takes_bfloat16
from mergeit_ops.embedding.static import files
from mergeit_ops.embedding.static.model import is_fitted
from mergeit_ops.errors import LLMError, LLMUnavailableError, RecipeError
from mergeit_ops.runs import read_run
from mergeit_ops.runs.inputs import read_input
from mergeit_ops.runs.verification import verify
from tests.llm_server import FakeLLMServer, error, merge_answer, parents_of
from tests.planted_pairs import planted_rows, short_answers_only
from tests.recipe_runs import read_export, read_jsonl, run_recipe_apart, run_recipe_on_ray, write_jsonl, write_recipe
from tests.test_whole_runs import in_layout, pipeline, text_key_of, work_dir_of
from tests.thorough import every
from tests.tiny_models import encoder_folder

pytestmark = pytest.mark.usefixtures("ray_cluster")


@pytest.fixture
def data(tmp_path, embedded_rows) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", embedded_rows)


def comparable(rows: list[dict]) -> list[str]:
    """Rows as sorted texts without nulls and empty lists, because a struct has every key in every row."""

    def plain(value: Any) -> Any:
        if isinstance(value, dict):
            parents = {"merge_parents": [plain(json.loads(text)) for text in value.get("merge_parents") or []]}
            parts = {key: plain(part) for key, part in sorted(value.items())} | parents
            return {key: part for key, part in parts.items() if part not in (None, [], {})}
        if isinstance(value, list):
            return [plain(item) for item in value]
        return round(value, 5) if isinstance(value, float) else value

    return sorted(json.dumps(plain(row), sort_keys=True, ensure_ascii=False, default=str) for row in rows)


def both(tmp_path: Path, process: list[dict], data: Path, **settings: Any) -> tuple[list[dict], list[dict]]:
    recipe = write_recipe(tmp_path, process, data, **settings)
    default = read_jsonl(run_recipe_apart(recipe, tmp_path / "default" / "export.jsonl"))
    ray = read_export(run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export")))
    return default, ray


def test_selection_gives_the_rows_of_the_default_executor(tmp_path, data):
    process = [{"topic_cluster_grouper": {}}, {"facility_location_selector": {}}, {"topic_reverse_grouper": {}}]
    default, ray = both(tmp_path, process, data)
    assert comparable(ray) == comparable(default)
    assert len(ray) < 40


def test_a_flat_selection_in_partitions_is_as_good_as_that_of_the_default_executor(tmp_path, data, embedded_rows):
    """The default executor holds all embeddings anyway, so it never divides rows."""
    process = [{"facility_location_selector": {"select_ratio": 0.2, "partition_rows": 100, "keep_embeddings": True}}]
    default, ray = both(tmp_path, process, data)
    records = [read_manifests(work_dir_of(tmp_path / name))[0] for name in ("default/export.jsonl", "ray/export")]
    assert "partitions" not in records[0]["figures"]
    assert records[1]["figures"]["partitions"] == 2
    assert [record["figures"]["rows_out"] for record in records] == [len(default), len(ray)] == [24, 24]
    vectors = decode_vectors([row[EMBEDDING] for row in embedded_rows])
    first, second = (
        float(np.maximum(vectors @ decode_vectors([row[EMBEDDING] for row in rows]).T, 0).max(axis=1).sum())
        for rows in (default, ray)
    )
    assert second >= 0.99 * first


@pytest.mark.slow
def test_static_token_vectors_are_those_of_the_default_executor(tmp_path, embedded_rows):
    """Each executor fits them itself, because the model of the first one is removed."""
    rows = [{name: value for name, value in row.items() if name != EMBEDDING} for row in embedded_rows[:60]]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    process = [
        {"topic_cluster_grouper": {"embedding_model": "static", "num_clusters": 3}},
        {"facility_location_selector": {"select_ratio": 0.5}},
        {"topic_reverse_grouper": {"keep_embeddings": True}},
    ]
    recipe = write_recipe(tmp_path, process, data)
    default = read_jsonl(run_recipe_apart(recipe, tmp_path / "default" / "export.jsonl"))
    for path in files.folder().iterdir():
        path.unlink()
    ray = read_export(run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export")))
    assert comparable(ray) == comparable(default)
    assert len(ray) == pytest.approx(30, abs=3)
    records = [read_manifests(work_dir_of(tmp_path / name / "export.jsonl"))[0] for name in ("default", "ray")]
    first, second = (record["figures"]["embedding_model"] for record in records)
    assert first == second
    assert is_fitted(first)


@pytest.mark.parametrize("gamma", every(2, [0.5, 1.4]))
def test_merging_gives_the_rows_of_the_default_executor(tmp_path, data, gamma):
    with FakeLLMServer() as server:
        default, ray = both(tmp_path, pipeline(server, gamma=gamma, cache_path=None), data)
    assert comparable(ray) == comparable(default)
    assert {row[META]["merge_status"] for row in ray} >= {"original", "merged"}


def test_pairs_are_left_out_as_in_the_default_executor_and_asked_once(tmp_path):
    data = write_jsonl(tmp_path / "in.jsonl", planted_rows(120))
    with FakeLLMServer(short_answers_only) as server:
        merger = {
            "model_params": {"base_url": server.base_url},
            "similarity_threshold": 0.5,
            "similarity_threshold_scale": "raw",
            "min_acceptance": 0.5,
            "max_failure_ratio": 1.0,
            "try_num": 1,
            "cache_path": None,
        }
        gate = {"scorer": "tests.user_scorers:ByLength"}
        process = [{"topic_cluster_grouper": {"num_clusters": 6}}, {"llm_pair_merger_mapper": merger}]
        default, ray = both(tmp_path, [*process, {"quality_gate_filter": gate}], data)
        asked = Counter(json.dumps(body["messages"]) for body in server.requests)
        assert set(asked.values()) == {2}
        assert comparable(ray) == comparable(default)
        left_out = sum(row[META]["merge_error"] == "unlikely" for row in ray)
        assert left_out >= 60
        records = [read_manifests(work_dir_of(tmp_path / name))[1] for name in ("default/export.jsonl", "ray/export")]
        names = ("calls", "prompt_tokens", "pairs", "merged", "failed")
        expected, found = ([record["figures"][name] for name in names] for record in records)
        assert found == expected
        assert found[0] == len(asked)
        assert records[0]["foresight"] == records[1]["foresight"]
        limited = [process[0], {"llm_pair_merger_mapper": merger | {"max_total_tokens": 1000}}]
        with pytest.raises(RecipeError, match="min_acceptance with max_total_tokens does not run on Ray"):
            run_recipe_on_ray(write_recipe(tmp_path, limited, data))
        assert set(Counter(json.dumps(body["messages"]) for body in server.requests).values()) == {2}


def test_tags_of_a_model_are_those_of_the_default_executor_and_paid_once(tmp_path, embedded_rows):
    def answer(body):
        (record,) = parents_of(body)
        words = record["instruction"].lower().split()
        return "I found no tags." if len(words) % 5 == 0 else json.dumps([{"tag": word} for word in words])

    data = write_jsonl(tmp_path / "in.jsonl", embedded_rows)
    with FakeLLMServer(answer) as server:
        tagger = {"tagger": "llm", "try_num": 1, "model_params": {"base_url": server.base_url}}
        # Data-Juicer's filters before and after it keep their stats too.
        words, length = {"words_num_filter": {"min_num": 1}}, {"text_length_filter": {"min_len": 1}}
        default, ray = both(tmp_path, [words, {"instruction_tag_mapper": tagger}, length], data)
        readable = {body["messages"][1]["content"] for body in server.requests if answer(body)[0] == "["}
        unreadable = len({body["messages"][1]["content"] for body in server.requests}) - len(readable)
        # The readable answers of the first run are in the journal, which the tasks of the second run read.
        assert len(server.requests) == len(readable) + 2 * unreadable
    assert comparable(ray) == comparable(default)
    assert {row[STATS]["tags_status"] for row in ray} == {"ok", "unparsable"}
    assert set(ray[0][STATS]) == {"num_words", "tags_status", "text_len"}
    assert len(ray) == len(embedded_rows)
    records = [read_manifests(work_dir_of(tmp_path / name / "export.jsonl"))[0] for name in ("default", "ray")]
    names = ("rows_in", "rows_out", "untagged", "mean_tags", "failed")
    expected, found = ([record["figures"][name] for name in names] for record in records)
    assert found == expected
    assert records[1]["figures"]["calls"] == unreadable


def test_rewritten_rows_are_those_of_the_default_executor_paid_once_and_verified(tmp_path, embedded_rows):
    def answer(body):
        records = parents_of(body)
        if not records:
            return "A new answer."
        # A third of the rows gets no instruction, and another third first gets one that is too short.
        number = len(records[0]["instruction"]) % 3 if len(body["messages"]) == 2 else 2
        return ["No.", '{"instruction": "Do."}', merge_answer(body)][number]

    rows = [row | {"tools": None} for row in embedded_rows]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    with FakeLLMServer(answer) as server:
        given = {"try_num": 2, "model_params": {"base_url": server.base_url}, "max_failure_ratio": 1.0}
        # A Data-Juicer filter after it computes its stats again, because the earlier stats belong to other texts.
        words, length = {"words_num_filter": {"min_num": 1}}, {"text_length_filter": {"min_len": 1}}
        default, ray = both(tmp_path, [words, {"instruction_rewrite_mapper": given}, words, length], data)
        asked = Counter(json.dumps(body["messages"]) for body in server.requests)
    assert comparable(ray) == comparable(default)
    assert {row[META]["rewrite_error"] for row in ray} == {None, "unparsable"}
    assert all(row[STATS]["num_words"] >= 15 for row in ray if row[META]["rewrite_status"] == "rewritten")
    # What the first run could use is in the journal, which the tasks of the second ask.
    assert {times for text, times in asked.items() if "further" not in text} <= {1, 4}
    for name in ("default/export.jsonl", "ray/export"):
        found = verify(read_run(tmp_path / name), read_input(data))
        assert found.holds, (found.violations, found.undecided)
        assert 0 < found.counts["rewritten, with what they were"] < len(rows)


@pytest.mark.slow
def test_samples_of_texts_are_those_of_the_default_executor_paid_once_and_verified(tmp_path, embedded_rows):
    def answer(body):
        (record,) = parents_of(body)
        return "No." if len(record["text"]) % 5 == 0 else merge_answer(body)

    rows = [{"text": row["output"], "id": row["id"], "url": None} for row in embedded_rows]
    data = write_jsonl(tmp_path / "in.jsonl", [*rows, *rows[:3]])
    with FakeLLMServer(answer) as server:
        given = {"min_chars": 40, "try_num": 1, "model_params": {"base_url": server.base_url}, "max_failure_ratio": 1.0}
        # A Data-Juicer filter after it computes its stats again, because the earlier stats belong to other texts.
        words = {"words_num_filter": {"min_num": 0}}
        written = {**given, "method": "grounded_task", "response_key": "text"}
        process = [words, {"backtranslation_mapper": written}, words, {"text_length_filter": {"min_len": 0}}]
        default, ray = both(tmp_path, process, data, text_keys="text")
        asked = Counter(json.dumps(body["messages"]) for body in server.requests)
    assert comparable(ray) == comparable(default)
    assert {row[META]["backtranslation_status"] for row in ray} == {"ok", "unparsable", "too_short"}
    assert len(ray) == len(rows) + 3
    # What the first run could use is in the journal, which the tasks of the second ask.
    assert set(asked.values()) == {1, 2}
    for name in ("default/export.jsonl", "ray/export"):
        found = verify(read_run(tmp_path / name), read_input(data))
        assert found.holds, (found.violations, found.undecided)
        assert found.counts["kept"] == len(rows) + 3


def test_tags_stop_a_run_on_ray_when_most_replies_cannot_be_read(tmp_path, data):
    with FakeLLMServer(lambda body: "What?") as server:
        tagger = {"tagger": "llm", "try_num": 1, "model_params": {"base_url": server.base_url}}
        recipe = write_recipe(tmp_path, [{"instruction_tag_mapper": tagger}], data)
        with pytest.raises(LLMError):
            run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export"))
    record = read_manifests(work_dir_of(tmp_path / "ray" / "export"))[0]
    assert record["state"] == "stopped"
    assert record["figures"]["calls"] == len(server.requests)


@pytest.mark.parametrize(
    "layout", every(3, ["messages with tools", "messages of parts", "sharegpt with a system column"])
)
def test_chats_give_the_rows_of_the_default_executor(tmp_path, embedded_rows, layout):
    rows = in_layout(layout, embedded_rows)
    process = pipeline(gamma=1.4, similarity_threshold=0.3)
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    default, ray = both(tmp_path, process, data, text_keys=text_key_of(rows[0]))
    assert comparable(ray) == comparable(default)
    assert {row[META]["merge_error"] for row in ray} >= {None, "multi_turn"}


@pytest.mark.slow
@pytest.mark.parametrize("dtype", ["float32", "bfloat16"])
def test_embeddings_made_on_ray_are_those_of_the_default_executor(tmp_path, embedded_rows, monkeypatch, dtype):
    from mergeit_ops.distributed import embedding

    # Emulated bfloat16 takes ten times as long.
    few = dtype == "bfloat16" and not takes_bfloat16("cpu", "auto")
    # So that one small file is cut into parts.
    monkeypatch.setattr(embedding, "_LEAST_ROWS", 6 if few else 30)
    some = embedded_rows[: 24 if few else None]
    rows = [{name: value for name, value in row.items() if name != EMBEDDING} for row in some]
    process = pipeline(gamma=1.4, keep_embeddings=True)
    for operator in process[:3:2]:
        (parameters,) = operator.values()
        parameters["embedding_dtype"] = dtype
    default, ray = both(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", rows))
    assert comparable(ray) == comparable(default)
    assert all(row[EMBEDDING] for row in ray)


@pytest.mark.slow
def test_windows_and_turns_of_chats_on_ray_are_those_of_the_default_executor(tmp_path, lines):
    turns = [("user", "Name a fruit."), ("assistant", "An apple. " * 300), ("user", "Another one?"), ("assistant", "A")]
    rows = [
        {"messages": [{"role": role, "content": f"{text} {n}"} for role, text in turns[: 4 if n % 2 else 2]]}
        for n in range(6)
    ]
    process = [{"sentence_embedding_mapper": {"embedding_window": "mean", "embedding_text": "all"}}]
    default, ray = both(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", rows), text_keys="messages")
    assert comparable(ray) == comparable(default)
    said = [line for line in lines if "6 of 6 rows are longer than the window" in line]
    assert len(said) == 1  # the one on Ray; the other run has its own process


@pytest.mark.slow
def test_actors_tell_how_many_rows_are_longer_than_the_window(lines):
    import ray

    from mergeit_ops.core.formats import resolve_format
    from mergeit_ops.distributed.blocks import Resources
    from mergeit_ops.distributed.embedding import _embedded
    from mergeit_ops.jobs.sample_reader import EncoderSettings, SampleReader

    reader = SampleReader("op", resolve_format("alpaca", ["instruction", "output"]), EncoderSettings(encoder_folder()))
    rows = [{"instruction": "a fruit " * (1 if n % 3 else 400), "output": "x"} for n in range(9)]
    blocks = _embedded(ray.data.from_items(rows, override_num_blocks=2), reader, Resources(actors=(1, 1)))
    embedded = blocks.dataset().take_all()
    assert [row["instruction"] for row in embedded] == [row["instruction"] for row in rows]
    assert all(row.keys() == {"instruction", "output", EMBEDDING} for row in embedded)
    assert [line for line in lines if "op: 3 of 9 rows are longer than the window" in line]


def test_the_partitioned_executor_gives_the_same_rows(tmp_path, data):
    recipe = write_recipe(tmp_path, pipeline(gamma=1.4), data)
    default = read_jsonl(run_recipe_apart(recipe, tmp_path / "default" / "export.jsonl"))
    folder = tmp_path / "partitioned" / "export"
    overrides = [
        "--executor_type",
        "ray_partitioned",
        "--partition.mode",
        "manual",
        "--partition.num_of_partitions",
        "3",
    ]
    ray = read_export(run_recipe_on_ray(recipe, "--export_path", str(folder), *overrides))
    assert comparable(ray) == comparable(default)


@pytest.mark.slow
def test_the_record_of_a_run_is_that_of_the_default_executor(tmp_path, data):
    with FakeLLMServer() as server:
        process = pipeline(server, gamma=1.4, cache_path=None)
        recipe = write_recipe(tmp_path, process, data)
        default = run_recipe_apart(recipe, tmp_path / "default" / "export.jsonl")
        ray = run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export"))
    records = [{record["operator"]: record for record in read_manifests(work_dir_of(out))} for out in (default, ray)]
    for operator in ("topic_cluster_grouper", "facility_location_selector", "llm_pair_merger_mapper"):
        expected, found = (record[operator] for record in records)
        assert {**found["figures"], "seconds": 0} == {**expected["figures"], "seconds": 0}
        assert found["parameters"] == expected["parameters"]
    merger = [record["llm_pair_merger_mapper"] for record in records]
    assert sorted(merger[0]["entered"]) == sorted(merger[1]["entered"])


def test_a_second_run_asks_nothing_again(tmp_path, data):
    with FakeLLMServer() as server:
        recipe = write_recipe(tmp_path, pipeline(server), data)
        first = read_export(run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "first" / "export")))
        calls = len(server.requests)
        second = read_export(run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "second" / "export")))
        assert len(server.requests) == calls > 10
    assert comparable(second) == comparable(first)


def test_a_folder_with_the_export_of_another_run_is_warned_of(tmp_path, data, lines):
    process = [{"topic_cluster_grouper": {}}, {"topic_reverse_grouper": {}}]
    recipe = write_recipe(tmp_path, process, data)
    folder = str(tmp_path / "ray" / "export")
    run_recipe_on_ray(recipe, "--export_path", folder)
    assert not [message for message in lines if "export folder" in message]
    run_recipe_on_ray(recipe, "--export_path", folder)
    assert [message for message in lines if f"The export folder {folder} already has " in message]


def test_workers_have_the_drivers_key_and_no_log_or_file_has_it(tmp_path, data, monkeypatch):
    import ray

    key = "Quiet-Harbour-8841-lantern"
    # The workers started before the variable was set, so it must come with the task.
    monkeypatch.setenv("OPENAI_API_KEY", key)
    with FakeLLMServer(api_key=key) as server:
        recipe = write_recipe(tmp_path, pipeline(server), data)
        rows = read_export(run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export")))
    assert {row[META]["merge_status"] for row in rows} >= {"merged"}
    (session,) = {Path(ray._private.worker._global_node.get_session_dir_path())}
    for folder in (tmp_path, session / "logs"):
        files = [path for path in folder.rglob("*") if path.is_file()]
        assert files
        assert [path for path in files if key.encode() in path.read_bytes()] == []


@pytest.mark.parametrize(
    ("reply", "sentence"),
    every(
        2,
        [(lambda _: error(401), "refused the API key"), (lambda _: error(404, "no such model"), "does not know model")],
    ),
    ids=["wrong key", "unknown model"],
)
def test_a_run_that_cannot_succeed_stops_with_our_sentence_and_no_export(tmp_path, data, reply, sentence):
    with FakeLLMServer(answer=reply) as server, pytest.raises(LLMUnavailableError) as stopped:
        run_recipe_on_ray(
            write_recipe(tmp_path, pipeline(server), data), "--export_path", str(tmp_path / "ray" / "export")
        )
    assert sentence in str(stopped.value)
    assert not (tmp_path / "ray" / "export").exists()


@pytest.mark.parametrize(
    ("asks", "topics"),
    [
        ("merger", 1),
        pytest.param("merger", 5, marks=pytest.mark.slow),
        pytest.param("judge", 1, marks=pytest.mark.slow),
    ],
)
def test_credit_that_ends_in_mid_run_stops_it_with_our_sentence(tmp_path, data, asks, topics):
    numbers = itertools.count(1)

    def answer(body: dict[str, Any]) -> Any:
        refused = body["model"] == asks and next(numbers) > 8
        return error(402, "Insufficient Balance") if refused else merge_answer(body)

    with FakeLLMServer(answer) as server:
        process = pipeline(server, cache_path=str(tmp_path / "answers.sqlite3"))
        process[0] = {"topic_cluster_grouper": {"num_clusters": topics}}
        judge = {"api_or_hf_model": "judge", "model_params": {"base_url": server.base_url}, "max_concurrency": 2}
        judge["cache_path"] = str(tmp_path / "answers.sqlite3")
        process[3] = {"quality_gate_filter": {"scorer": "llm_judge", "scorer_params": judge}}
        recipe = write_recipe(tmp_path, process, data)
        with pytest.raises(Exception, match=r"no credit left \(HTTP 402: Insufficient Balance\)") as stopped:
            run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export"))
    if asks == "merger":
        # Data-Juicer's executor writes some batches before the gate judges others.
        assert not list((tmp_path / "ray" / "export").glob("*"))
        assert isinstance(stopped.value, LLMUnavailableError)
        assert re.search(r"At least \d answers are in the journal", str(stopped.value)) or topics > 1


def test_one_merge_that_fails_in_a_small_block_stops_nothing(tmp_path, data):
    """As in the default executor, the limit applies to the share of all merges."""

    def answer(body: dict[str, Any]) -> Any:
        if "bash" in json.dumps(body):
            return "I am sorry, but I cannot help with that."
        return merge_answer(body)

    with FakeLLMServer(answer=answer) as server:
        process = pipeline(server, cache_path=None, try_num=1)
        process[0] = {"topic_cluster_grouper": {"num_clusters": 30}}
        default, ray = both(tmp_path, process, data)
    assert comparable(ray) == comparable(default)
    assert {row[META]["merge_error"] for row in ray} == {None, "refused"}


def test_a_stopped_merger_is_not_run_once_more_without_its_runtime_env(tmp_path, data):
    with FakeLLMServer(answer=lambda _: error(401)) as server:
        process = pipeline(server, runtime_env={"env_vars": {"MERGEIT_TEST": "1"}})
        process[0] = {"topic_cluster_grouper": {"num_clusters": 1}}
        recipe = write_recipe(tmp_path, process, data)
        with pytest.raises(LLMUnavailableError):
            run_recipe_on_ray(recipe, "--export_path", str(tmp_path / "ray" / "export"))
    # One topic is one block, so only one request has the refused key.
    assert len(server.requests) == 1


def test_a_scorer_that_fails_stops_the_run(tmp_path, data):
    process = pipeline()
    process[-1] = {"quality_gate_filter": {"scorer": "tests.user_scorers:Raising"}}
    with pytest.raises(Exception, match="quality_gate_filter: the scorer Raising failed"):
        run_recipe_on_ray(write_recipe(tmp_path, process, data), "--export_path", str(tmp_path / "ray" / "export"))
    assert not (tmp_path / "ray" / "export").exists()


@pytest.mark.slow
def test_metadata_of_operators_around_ours_survive(tmp_path, embedded_rows):
    """A filter and a tagging operator run before, between and after ours, and no operator loses what another wrote."""
    rows = [row | {META: {"lang": "en"}} for row in embedded_rows]
    process = pipeline(gamma=1.4)
    length = {"text_length_filter": {"text_key": "output", "min_len": 1}}
    process_words = {"words_num_filter": {"text_key": "output", "min_num": 1}}
    process = [length, *process[:3], process_words, process[3], length, process_words]
    ray = read_export(
        run_recipe_on_ray(
            write_recipe(tmp_path, process, write_jsonl(tmp_path / "in.jsonl", rows)),
            "--export_path",
            str(tmp_path / "ray" / "export"),
        )
    )
    assert {row[META]["lang"] for row in ray} == {"en"}
    assert {row[META]["merge_status"] for row in ray} == {"original", "merged", "restored"}
    assert all(row[STATS]["text_len"] and row[STATS]["num_words"] for row in ray)
    assert all(row[STATS]["quality_status"] for row in ray)


@pytest.mark.slow
def test_parquet_in_and_out_and_metadata_that_came_as_text(tmp_path, data):
    """Ray can read a parquet export of the default executor, whose metadata are JSON text."""
    recipe = write_recipe(tmp_path, pipeline(gamma=1.4), data)
    first = run_recipe_apart(recipe, tmp_path / "default" / "export.parquet")
    again = write_recipe(tmp_path, pipeline(gamma=1.4), first)
    folder = tmp_path / "ray" / "export"
    rows = read_export(run_recipe_on_ray(again, "--export_path", str(folder), "--export_type", "parquet"))
    assert rows
    merged_before = [row for row in rows if row[META]["merge_history"] is not None and len(row[META]["merge_history"])]
    assert merged_before


def test_samples_dropped_on_ray_are_traced(tmp_path, data):
    process = [{"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", "min_score": 100.0}}]
    export = run_recipe_on_ray(
        write_recipe(tmp_path, process, data, open_tracer=True, trace_num=5),
        "--export_path",
        str(tmp_path / "ray" / "export"),
    )
    rows = read_export(export)
    assert 0 < len(rows) < 120
    assert min(row[STATS]["quality_score"] for row in rows) >= 100
    assert list(tmp_path.rglob("*quality_gate_filter*.jsonl"))


def test_a_local_model_has_a_whole_node_where_there_is_no_gpu():
    from mergeit_ops.distributed.blocks import Resources

    # With two cores, two models would be loaded at the same time, each with one thread.
    assert Resources().at_once() == 2
    assert Resources().for_a_model(on_gpu=True) == Resources(num_cpus=2)
    assert Resources().for_a_model(on_gpu=True).at_once() == 1
    assert Resources(num_cpus=1).for_a_model(on_gpu=True) == Resources(num_cpus=1)


def test_a_local_model_has_a_gpu_of_its_own_where_there_are_some(monkeypatch):
    import ray

    from mergeit_ops.distributed.blocks import Resources

    monkeypatch.setattr(ray, "cluster_resources", lambda: {"CPU": 16.0, "GPU": 2.0})
    asked = Resources().for_a_model(on_gpu=True)
    assert (asked.num_gpus, asked.num_cpus, asked.at_once()) == (1, None, 2)
    assert Resources(num_gpus=0.5).for_a_model(on_gpu=True).at_once() == 4
    assert Resources().for_a_model(on_gpu=False).num_gpus is None
