"""Whole runs through Data-Juicer's default executor: conservation, modes of running, formats of the export."""

from __future__ import annotations

import json
import re
from collections import Counter
from pathlib import Path
from typing import Any

import pandas as pd
import pyarrow as pa
import pyarrow.parquet as pq
import pytest

from mergeit_ops import ops
from mergeit_ops.core.columns import EMBEDDING, META, STATS
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, LLMError
from tests.conftest import REPOSITORY
from tests.llm_server import MODEL, FakeLLMServer, error, merge_answer
from tests.recipe_runs import make_dataset, read_jsonl, run_command, run_recipe, work_dir_of, write_jsonl, write_recipe
from tests.thorough import every


def pipeline(server: FakeLLMServer | None = None, *, gamma: float = 0.5, **merger: Any) -> list[dict]:
    """The four operators with small parameters. The gate scores by length, so a test can make it pass or fail."""
    if server is None:
        llm = {"merge_strategy": "concat"}
    else:
        llm = {"api_or_hf_model": "merger", "model_params": {"base_url": server.base_url}}
    return [
        {"topic_cluster_grouper": {"num_clusters": 5}},
        {"facility_location_selector": {"select_ratio": 0.8}},
        {"llm_pair_merger_mapper": {"similarity_threshold": 0.4, **llm, **merger}},
        {"quality_gate_filter": {"scorer": "tests.user_scorers:ByLength", "gamma": gamma, "reference": "max"}},
    ]


@pytest.fixture
def data(tmp_path, embedded_rows) -> Path:
    return write_jsonl(tmp_path / "in.jsonl", embedded_rows)


def statuses(rows: list[dict]) -> Counter:
    return Counter(row[META]["merge_status"] for row in rows)


def assert_conserved(export: Path, inputs: list[dict]) -> None:
    """Every row that entered the merger leaves exactly once, as itself or inside one merged row, with its content."""
    rows = read_jsonl(export)
    (*_, entered) = [
        record["entered"]
        for record in read_manifests(work_dir_of(export))
        if record["operator"] == "llm_pair_merger_mapper"
    ]
    alone = [row[META]["row_id"] for row in rows if row[META]["merge_status"] != "merged"]
    inside = [row_id for row in rows for row_id in row[META]["merge_parent_ids"]]
    assert sorted(alone + inside) == sorted(entered)
    assert len(set(entered)) == len(entered)
    before = {row["id"]: {name: value for name, value in row.items() if name != EMBEDDING} for row in inputs}
    for row in rows:
        texts = [row] if row[META]["merge_status"] != "merged" else map(decode_row, row[META]["merge_parents"])
        for text in texts:
            kept = {name: value for name, value in text.items() if name not in (META, STATS)}
            assert kept == before[kept["id"]]


@pytest.mark.parametrize(
    ("gamma", "expected"), [(0.5, {"merged"}), (99.0, {"restored"}), (1.4, {"merged", "restored"})]
)
def test_conservation_when_answers_pass_fail_or_do_both(tmp_path, data, embedded_rows, gamma, expected):
    with FakeLLMServer() as server:
        export = run_recipe(write_recipe(tmp_path, pipeline(server, gamma=gamma), data))
    rows = read_jsonl(export)
    assert_conserved(export, embedded_rows)
    assert statuses(rows).keys() - {"original"} == expected


def test_conservation_when_the_server_fails_in_every_way(tmp_path, data, embedded_rows):
    replies = [merge_answer, lambda _: error(500), lambda _: "no JSON", lambda _: "{}", lambda _: error(400)]
    calls = iter(range(10_000))
    with FakeLLMServer(answer=lambda body: replies[next(calls) % len(replies)](body)) as server:
        recipe = write_recipe(tmp_path, pipeline(server, try_num=1, max_failure_ratio=1.0), data)
        export = run_recipe(recipe)
    rows = read_jsonl(export)
    assert_conserved(export, embedded_rows)
    assert any(row[META]["merge_error"] for row in rows)
    assert statuses(rows)["merged"]


def test_a_merged_row_says_what_made_it(tmp_path, data):
    with FakeLLMServer() as server:
        rows = read_jsonl(run_recipe(write_recipe(tmp_path, pipeline(server), data)))
    merged = [row for row in rows if row[META]["merge_status"] == "merged"]
    for row in merged:
        meta, stats = row[META], row[STATS]
        assert meta["merge_model"] == MODEL
        assert len(meta["merge_prompt_sha256"]) == 64
        assert 0.4 < meta["merge_similarity"] <= 1
        assert len(meta["merge_parents"]) == len(meta["merge_parent_ids"]) == 2
        assert stats["merge_quality_ratio"] == pytest.approx(
            stats["merge_quality_after"] / stats["merge_quality_before"]
        )
    assert merged


def test_rows_come_by_topic_and_in_the_order_of_the_input(tmp_path, data, embedded_rows):
    rows = read_jsonl(run_recipe(write_recipe(tmp_path, pipeline(gamma=1.4), data)))
    position = {row["id"]: number for number, row in enumerate(embedded_rows)}
    first_ids = [row["id"] or decode_row(row[META]["merge_parents"][0])["id"] for row in rows]
    places = [(row[META]["topic_id"], position[key]) for row, key in zip(rows, first_ids, strict=True)]
    assert places == sorted(places)


def test_np_changes_no_row(tmp_path, data):
    recipe = write_recipe(tmp_path, pipeline(gamma=1.4), data)
    one = read_jsonl(run_recipe(recipe, "--export_path", str(tmp_path / "one" / "export.jsonl")))
    two = read_jsonl(run_recipe(recipe, "--np", "2", "--export_path", str(tmp_path / "two" / "export.jsonl")))
    assert two == one


def test_the_second_run_pays_nothing(tmp_path, data):
    with FakeLLMServer() as server:
        recipe = write_recipe(tmp_path, pipeline(server), data)
        first = read_jsonl(run_recipe(recipe))
        asked = len(server.requests)
        again = read_jsonl(run_recipe(recipe))
        assert len(server.requests) == asked > 0
    assert again == first


def test_a_dry_run_asks_nothing_and_passes_the_rows_on(tmp_path, data, embedded_rows, monkeypatch):
    last_words = []
    monkeypatch.setattr("atexit.register", lambda function, *given, **named: last_words.append(given))
    with FakeLLMServer() as server:
        export = run_recipe(write_recipe(tmp_path, pipeline(server, dry_run=True), data))
        assert server.requests == []
    # There is no file at the path of the export.
    assert export.name == "export.dry_run.jsonl"
    assert [path.name for path in export.parent.glob("*.jsonl")].count("export.jsonl") == 0
    assert {record["export_path"] for record in read_manifests(work_dir_of(export))} == {str(export)}
    (table,) = [text for given in last_words for text in given if "A run would take about" in str(text)]
    assert re.search(r"pairs +\d+\n +calls +\d+\n +prompt tokens .*% of them the fixed prompt", table)
    assert statuses(read_jsonl(export)).keys() == {"original"}
    assert_conserved(export, embedded_rows)
    (figures,) = [
        record["figures"]
        for record in read_manifests(work_dir_of(export))
        if record["operator"] == "llm_pair_merger_mapper"
    ]
    assert figures["planned_calls"] == figures["pairs"] > 0
    assert "planned_cost" not in figures


@pytest.mark.parametrize("settings", [{"export_shard_size": 2000}, {"use_checkpoint": True, "job_id": "dry"}])
def test_a_dry_run_and_its_repetition_leave_nothing_at_the_export_path(tmp_path, data, settings):
    with FakeLLMServer() as server:
        recipe = write_recipe(tmp_path, pipeline(server, dry_run=True), data, **settings)
        for _ in range(2):
            run_recipe(recipe)
            names = {path.name for path in (tmp_path / "out").glob("export*")}
            assert names == {"export.dry_run.jsonl", "export.dry_run_stats.jsonl"}
        assert server.requests == []


def test_a_dry_run_tells_the_price_and_the_run_what_it_has_spent(tmp_path, data):
    prices = {"price_per_1k_prompt": 2.0, "price_per_1k_completion": 8.0}
    with FakeLLMServer() as server:
        planned, spent = (
            read_manifests(
                work_dir_of(run_recipe(write_recipe(tmp_path, pipeline(server, dry_run=dry, **prices), data)))
            )[2]["figures"]
            for dry in (True, False)
        )
    sent, received = planned["planned_prompt_tokens"], planned["planned_completion_tokens"]
    assert planned["planned_cost"] == pytest.approx((2.0 * sent + 8.0 * received) / 1000)
    assert spent["cost"] == pytest.approx((2.0 * spent["prompt_tokens"] + 8.0 * spent["completion_tokens"]) / 1000)
    assert spent["cost"] == pytest.approx(planned["planned_cost"], rel=0.2)


def test_further_candidates_do_not_leave_the_gate(tmp_path, data, embedded_rows):
    with FakeLLMServer() as server:
        export = run_recipe(write_recipe(tmp_path, pipeline(server, num_candidates=2), data))
    assert all(row[META]["merge_candidates"] == [] for row in read_jsonl(export))
    assert_conserved(export, embedded_rows)


@pytest.mark.parametrize("suffix", ["jsonl", "json", "parquet"])
@pytest.mark.parametrize("keep", [True, False])
def test_exports(tmp_path, data, suffix, keep):
    export = run_recipe(
        write_recipe(tmp_path, pipeline(gamma=1.4), data, keep_stats_in_res_ds=keep),
        "--export_path",
        str(tmp_path / "out" / f"export.{suffix}"),
    )
    if suffix == "parquet":
        rows = pd.read_parquet(export).to_dict("records")
    elif suffix == "json":
        rows = json.loads(export.read_text(encoding="utf-8"))
    else:
        rows = read_jsonl(export)
    kept = {META, STATS} if keep else set()
    assert set(rows[0]) == {"id", "instruction", "input", "output", "source"} | kept
    beside = read_jsonl(export.with_name("export_stats.jsonl"))
    assert [set(row) for row in beside] == [{META, STATS}] * len(rows)


def test_data_juicers_own_filters_work_on_what_leaves_the_gate(tmp_path, data):
    """A first batch without a merge must not fix the types of columns that only merges fill."""
    process = [
        *pipeline(gamma=1.4),
        {"text_length_filter": {"text_key": "output", "min_len": 1}},
        {"general_field_filter": {"filter_condition": "__dj__meta__.merge_status != 'restored'"}},
        {"range_specified_field_selector": {"field_key": "__dj__meta__.topic_id", "lower_rank": 0, "upper_rank": 40}},
    ]
    rows = read_jsonl(run_recipe(write_recipe(tmp_path, process, data, np=2)))
    assert statuses(rows).keys() == {"original", "merged"}
    assert all("text_len" in row[STATS] for row in rows)


def test_tracer_checkpoint_and_the_monitor_do_no_harm(tmp_path, data, monkeypatch):
    from data_juicer.core.monitor import Monitor

    # The monitor draws forty plots at the end. They take ten seconds and do not involve our code.
    monkeypatch.setattr(Monitor, "draw_resource_util_graph", lambda *measured: None)
    process = [*pipeline(gamma=1.4), {"quality_gate_filter": {"min_score": 50, "score_all": True, "gamma": 1.4}}]
    recipe = write_recipe(
        tmp_path, process, data, open_tracer=True, open_monitor=True, use_checkpoint=True, job_id="traced"
    )
    rows = read_jsonl(run_recipe(recipe))
    assert rows
    assert all(row[STATS]["quality_score"] >= 50 for row in rows)
    (traced,) = (tmp_path / "out").glob("*/trace/*quality_gate_filter*")
    assert all(row[STATS]["quality_score"] < 50 for row in read_jsonl(traced))


def test_overrides_on_the_command_line(tmp_path, data):
    rows = read_jsonl(
        run_recipe(
            write_recipe(tmp_path, pipeline(), data),
            "--llm_pair_merger_mapper.merge_strategy",
            "none",
            "--facility_location_selector.select_ratio",
            "0.1",
        )
    )
    assert statuses(rows).keys() == {"original"}
    assert len(rows) < 20


def test_a_missing_column_stops_the_run_before_any_work(tmp_path, embedded_rows):
    rows = [{name: value for name, value in row.items() if name != "output"} for row in embedded_rows]
    recipe = write_recipe(tmp_path, pipeline(), write_jsonl(tmp_path / "in.jsonl", rows))
    with pytest.raises(DatasetError, match=r"topic_cluster_grouper: no sample format fits.*'instruction'"):
        run_recipe(recipe)
    assert not (tmp_path / "out" / "export.jsonl").exists()


def test_a_wrong_key_stops_the_run_with_one_sentence_and_no_export(tmp_path, data):
    with FakeLLMServer(answer=lambda _: error(401, "bad key")) as server:
        with pytest.raises(LLMError, match="OPENAI_API_KEY"):
            run_recipe(write_recipe(tmp_path, pipeline(server), data))
        assert len(server.requests) < 80
    assert not (tmp_path / "out" / "export.jsonl").exists()


def test_flat_selection_is_one_operator(tmp_path, data, embedded_rows):
    process = [{"facility_location_selector": {"select_num": 12}}]
    rows = read_jsonl(run_recipe(write_recipe(tmp_path, process, data)))
    assert len(rows) == 12
    assert set(rows[0]) == set(embedded_rows[0]) - {EMBEDDING}


def test_commands_work_from_any_folder_and_tell_failure_by_their_exit_code(tmp_path, data, embedded_rows):
    """The only test with whole processes, for the entry point, the exit codes and a relative path."""
    folder = tmp_path / "elsewhere"
    folder.mkdir()
    write_jsonl(folder / "in.jsonl", embedded_rows)
    process = pipeline()
    process[-1] = {"quality_gate_filter": {"scorer": "distilled", "gamma": 0.75}}
    recipe = write_recipe(tmp_path, process, Path("in.jsonl"), export_path="out/export.jsonl")
    done = run_command("dj-process", "--config", str(recipe), cwd=folder)
    assert done.returncode == 0, done.stdout
    assert "MergeIT summary" in done.stdout
    assert_conserved(folder / "out" / "export.jsonl", embedded_rows)
    failed = run_command(
        "dj-process", "--config", str(recipe), "--topic_cluster_grouper.sample_format", "messages", cwd=folder
    )
    assert failed.returncode != 0
    assert "column 'messages' of sample format 'messages' is missing" in failed.stdout


@pytest.mark.parametrize("name", ["mergeit_quickstart", "mergeit_alpaca", "mergeit_released", "select_only"])
def test_dj_analyze_looks_at_every_recipe_without_a_call(tmp_path, monkeypatch, name, sample_rows):
    from data_juicer.config import init_configs
    from data_juicer.core import Analyzer

    monkeypatch.chdir(REPOSITORY)
    # No server listens there, so a call would fail.
    monkeypatch.setenv("OPENAI_BASE_URL", "http://127.0.0.1:9")
    data = write_jsonl(tmp_path / "in.jsonl", sample_rows[:40])
    arguments = ["--config", f"recipes/{name}.yaml", "--dataset_path", str(data)]
    config = init_configs([*arguments, "--export_path", str(tmp_path / "out" / "export.jsonl")])
    analyzed = Analyzer(config).run()
    assert len(analyzed) == 40


def turns(row: dict, role: str, text: str, *speakers: str) -> list[dict]:
    """A row as a conversation, with or without a system prompt. Every fifth row has two questions."""
    number = int(row["id"][1:])
    user, assistant = speakers
    said = [("system", "Be brief.")] if number % 2 else []
    said += [(user, f"{row['instruction']} {row['input']}".strip()), (assistant, row["output"])]
    if number % 5 == 0:
        said += [(user, "Shorter, please."), (assistant, row["output"][:20])]
    return [{role: speaker, text: what} for speaker, what in said]


def in_columns(row: dict, **texts: str) -> dict:
    number = int(row["id"][1:])
    context = {"system": "Be brief." if number % 2 else None, "history": [] if number % 5 else [["Hello.", "Hello!"]]}
    return texts | context


LAYOUTS = {
    "alpaca": lambda row: in_columns(
        row, instruction=row["instruction"], input=row["input"], output=row["output"], extra="x"
    ),
    "query_response": lambda row: in_columns(row, query=row["instruction"], response=row["output"]),
    "messages": lambda row: {"messages": turns(row, "role", "content", "user", "assistant")},
    "messages of parts": lambda row: {
        "messages": [
            turn | {"content": [{"type": "text", "text": turn["content"]}]}
            for turn in turns(row, "role", "content", "user", "assistant")
        ]
    },
    "messages with tools": lambda row: {
        "messages": [
            turn | ({"tool_calls": [{"id": row["id"], "type": "function"}]} if row["id"].endswith("9") else {})
            for turn in turns(row, "role", "content", "user", "assistant")
        ]
    },
    "sharegpt": lambda row: {"conversations": turns(row, "from", "value", "human", "gpt")},
    "sharegpt with a system column": lambda row: {
        "conversations": [
            turn for turn in turns(row, "from", "value", "human", "gpt") if turn["from"] in ("human", "gpt")
        ],
        "system": "Be brief." if int(row["id"][1:]) % 2 else "",
        "tools": "[]",
    },
}


def in_layout(layout: str, rows: list[dict]) -> list[dict]:
    return [LAYOUTS[layout](row) | {"id": row["id"], EMBEDDING: row[EMBEDDING]} for row in rows]


def text_key_of(row: dict) -> str:
    """A column of the row's format, for `text_keys`. In any other column, merged rows can be null."""
    return next(name for name in ("messages", "conversations", "query", "instruction") if name in row)


def system_of(row: dict) -> str:
    chat = row.get("messages") or row.get("conversations") or []
    said = [
        turn.get("content") or turn.get("value") for turn in chat if "system" in (turn.get("role"), turn.get("from"))
    ]
    return json.dumps(said[0], sort_keys=True).strip(chr(34)) if said else row.get("system") or ""


@pytest.mark.parametrize("layout", LAYOUTS)
@pytest.mark.parametrize("suffix", every(2, ["parquet", "jsonl"]))
def test_other_layouts_come_out_as_they_went_in(tmp_path, embedded_rows, layout, suffix):
    rows = in_layout(layout, embedded_rows)
    data = tmp_path / f"in.{suffix}"
    if suffix == "parquet":
        pq.write_table(pa.Table.from_pylist(rows), data)
        # Arrow adds the missing keys of a turn as nulls.
        rows = pq.read_table(data).to_pylist()
    else:
        write_jsonl(data, rows)
    process = pipeline(gamma=1.4, similarity_threshold=0.3)
    recipe = write_recipe(tmp_path, process, data, text_keys=text_key_of(rows[0]))
    export = run_recipe(recipe, "--export_path", str(tmp_path / "out" / "export.jsonl"))
    assert_conserved(export, rows)
    found = read_jsonl(export)
    assert statuses(found).keys() == {"original", "merged", "restored"}
    assert {frozenset(row) for row in found} == {frozenset({*rows[0], META, STATS} - {EMBEDDING})}
    for row in found:
        parents = [decode_row(text) for text in row[META]["merge_parents"]]
        assert len({system_of(parent) for parent in [row, *parents]}) == 1
    longer = [row for row in found if row[META]["merge_error"] == "multi_turn"]
    assert {row["id"] for row in longer} <= {row["id"] for row in rows if row["id"][-1] in "05"}
    assert longer
    # For the next reader, a merged row has the same format as other rows.
    before, after = ({shape(row) for row in part} for part in (rows, found))
    assert after <= before


@pytest.mark.parametrize("layout", LAYOUTS)
def test_the_types_of_every_layout_stay_through_merging_and_restoring(embedded_rows, layout):
    dataset = make_dataset(in_layout(layout, embedded_rows))
    topics = ops.TopicClusterGrouper(num_clusters=3).run(dataset)
    merged = ops.LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.3).run(topics)
    gated = ops.QualityGateFilter(scorer="tests.user_scorers:ByLength", gamma=1.4, reference="max").run(merged)
    assert {meta["merge_status"] for meta in gated[META]} == {"original", "merged", "restored"}
    before = {name: kind for name, kind in dataset.features.items() if name != EMBEDDING}
    assert {name: kind for name, kind in gated.features.items() if name not in (META, STATS)} == before


def shape(row: dict) -> str:
    """The structure of a row without texts and numbers, and without columns that can be empty in merged rows."""

    def kind(value: Any) -> Any:
        if isinstance(value, dict):
            return {key: kind(part) for key, part in sorted(value.items())}
        return [kind(item) for item in value] if isinstance(value, list) else type(value).__name__

    parts = {name: value for name, value in row.items() if name not in (META, STATS, EMBEDDING, "id", "extra")}
    return json.dumps(kind(parts), sort_keys=True)


def both_layouts(rows: list[dict]) -> list[dict]:
    """Every other row in a chat format, the rest in Alpaca's format."""
    return [
        {"kind": "row"} | (row if number % 2 else in_layout("messages", [row])[0]) for number, row in enumerate(rows)
    ]


def test_a_dataset_of_two_layouts_is_refused_before_any_work(tmp_path, embedded_rows):
    data = write_jsonl(tmp_path / "in.jsonl", both_layouts(embedded_rows))
    sentence = r"topic_cluster_grouper: .*'alpaca' \(instruction, output\) and 'messages' .*set sample_format to one"
    with pytest.raises(DatasetError, match=sentence):
        run_recipe(write_recipe(tmp_path, pipeline(), data, text_keys="kind"))


def test_of_two_layouts_the_one_that_is_asked_for_is_merged_and_the_other_kept(tmp_path, embedded_rows):
    rows = both_layouts(embedded_rows)
    process = [
        {name: parameters | {"sample_format": "alpaca"}}
        for operator in pipeline(gamma=0.5, similarity_threshold=0.3)
        for name, parameters in operator.items()
        if name != "facility_location_selector"
    ]
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    found = read_jsonl(run_recipe(write_recipe(tmp_path, process, data, text_keys="kind")))
    others = {row["id"]: row["messages"] for row in rows if "messages" in row}
    assert {row["id"]: row["messages"] for row in found if row[META]["merge_error"] == "bad_row"} == others
    assert statuses(found)["merged"]
    assert all(row["instruction"] and row["messages"] is None for row in found if row[META]["merge_status"] == "merged")


def run_quickstart_on(tmp_path: Path, rows: list[dict]) -> Path:
    data = write_jsonl(tmp_path / "in.jsonl", rows)
    return run_recipe(
        REPOSITORY / "recipes" / "mergeit_quickstart.yaml",
        *["--dataset_path", str(data), "--export_path", str(tmp_path / "out" / "export.jsonl")],
        *["--facility_location_selector.select_ratio", "1.0", "--llm_pair_merger_mapper.merge_strategy", "none"],
    )


def test_recipes_that_ship_keep_every_row_of_data_without_an_input_column(tmp_path, monkeypatch, sample_rows):
    monkeypatch.chdir(REPOSITORY)
    distinct = {row["instruction"]: row for row in sample_rows if not row["input"]}
    rows = [{name: value for name, value in row.items() if name != "input"} for row in list(distinct.values())[:30]]
    export = run_quickstart_on(tmp_path, rows)
    assert sorted(row["id"] for row in read_jsonl(export)) == sorted(row["id"] for row in rows)


@pytest.mark.parametrize("layout", every(2, ["messages", "sharegpt"]))
def test_recipes_for_chats_clean_deduplicate_and_merge(tmp_path, monkeypatch, embedded_rows, layout):
    monkeypatch.chdir(REPOSITORY)
    rows = in_layout(layout, embedded_rows)
    (column,) = set(rows[0]) - {"id", EMBEDDING}
    again = rows[1] | {"id": "again", column: [*rows[1][column][:-1], rows[2][column][-1]]}
    unanswered = rows[3] | {"id": "unanswered", column: rows[3][column][:1]}
    data = write_jsonl(tmp_path / "in.jsonl", [*rows, again, unanswered])
    export = run_recipe(
        REPOSITORY / "recipes" / f"mergeit_{layout}.yaml",
        *["--dataset_path", str(data), "--export_path", str(tmp_path / "out" / "export.jsonl")],
        *["--facility_location_selector.select_ratio", "1.0", "--llm_pair_merger_mapper.merge_strategy", "concat"],
    )
    found = read_jsonl(export)
    assert_conserved(export, rows)
    assert statuses(found)["merged"]
    assert {row[META]["merge_error"] for row in found} >= {None, "multi_turn"}
    first_of_each_question = {json.dumps(row[column][:-1]).lower(): row["id"] for row in rows[::-1]}
    parents = [decode_row(text) for row in found for text in row[META]["merge_parents"]]
    assert {row["id"] for row in [*found, *parents]} - {None} == set(first_of_each_question.values())
    assert set(found[0]) == {"id", column, META, STATS}


def test_a_work_dir_used_again_does_not_mix_up_the_runs(tmp_path, data, monkeypatch):
    from mergeit_ops.dataset import manifest

    lines: list[str] = []
    monkeypatch.setattr(manifest.logger, "info", lines.append)
    recipe = write_recipe(tmp_path, pipeline(), data, job_id="again")
    run_recipe(recipe)
    # A second dj-process is a second process.
    monkeypatch.setattr(manifest, "_RUN_ID", "second")
    few = write_jsonl(tmp_path / "few.jsonl", read_jsonl(data)[:10])
    run_recipe(recipe, "--dataset_path", str(few))
    summaries = [line for line in lines if "MergeIT summary" in line]
    assert "rows in 10;" in summaries[-1]


def test_dj_analyze_looks_at_an_export_with_merges(tmp_path, embedded_rows):
    """Its tables and plots take only numbers and texts. The kept shares are a list, so they are not stats."""
    from data_juicer.config import init_configs
    from data_juicer.core import Analyzer

    export = run_recipe(write_recipe(tmp_path, pipeline(), write_jsonl(tmp_path / "in.jsonl", embedded_rows)))
    statuses = {row[META]["merge_status"] for row in read_jsonl(export)}
    assert "merged" in statuses
    assert any(row[META]["merge_parent_kept"] for row in read_jsonl(export))
    again = tmp_path / "again"
    again.mkdir()
    recipe = write_recipe(again, [{"quality_gate_filter": {"scorer": "distilled", "score_all": True}}], export)
    analyzed = Analyzer(init_configs(["--config", str(recipe)])).run()
    assert len(analyzed) >= len(read_jsonl(export))
