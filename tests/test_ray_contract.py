"""Properties that hold for every operator on Ray: the suite of the default executor, on Ray datasets."""

from __future__ import annotations

import json
import time
from functools import lru_cache
from itertools import product
from pathlib import Path
from typing import Any

import numpy as np
import pyarrow as pa
import pytest
from data_juicer.ops.base_op import Filter

from mergeit_ops import ops
from mergeit_ops.core.columns import BATCH_META, EMBEDDING, META, ROW_ID, STATS
from mergeit_ops.core.selection import DIVERSITY_METHODS
from mergeit_ops.core.vectors import decode_vectors, encode_vectors
from mergeit_ops.dataset.manifest import read_manifests
from mergeit_ops.errors import DatasetError, EmbeddingError
from mergeit_ops.llm.journal import LOSSES_FILE, default_cache_path
from mergeit_ops.llm.journal_contents import by_model
from tests.llm_server import FakeLLMServer, merge_answer
from tests.ops.test_unreadable_rows import mixed, with_vectors
from tests.recipe_runs import make_dataset
from tests.test_contract import CASES, ODD_ROWS, Case, all_operators, input_of, with_extras
from tests.test_ray import comparable
from tests.thorough import every
from tests.tiny_models import gpt2_folder
from tests.user_operators import LengthTaggingMapper

pytestmark = pytest.mark.usefixtures("ray_cluster", "_ray_job")

# tests/test_contract.py runs every operator. These tests are only about the way of rows through tasks.
some_operators = pytest.mark.parametrize("case", every(3, CASES), ids=str)


@pytest.fixture
def _ray_job(monkeypatch):
    from data_juicer.utils.constant import RAY_JOB_ENV_VAR

    monkeypatch.setenv(RAY_JOB_ENV_VAR, "1")


def process(dataset: Any, *operators: Any) -> Any:
    """Run operators the way Data-Juicer's Ray executor does."""
    from data_juicer.core.data.ray_dataset import RayDataset

    return RayDataset(dataset).process(list(operators)).data.materialize()


def ray_dataset(rows: list[dict], blocks: int = 3) -> Any:
    import ray

    table = pa.Table.from_pylist(rows)
    size = max(1, -(-len(rows) // blocks))
    return ray.data.from_arrow([table.slice(start, size) for start in range(0, max(1, len(rows)), size)])


@lru_cache
def topics_of(rows: str) -> Any:
    """Topics of some rows, as JSON text, grouped once for all tests."""
    return process(ray_dataset(json.loads(rows)), ops.TopicClusterGrouper(num_clusters=3))


def run_on_ray(case: Case, rows: list[dict]) -> Any:
    rows = case.rows(rows)
    before = topics_of(json.dumps(rows)) if case.takes_topics else ray_dataset(rows)
    return process(before, case.make())


def rows_of(dataset: Any) -> list[dict]:
    return [row for ref in dataset.to_arrow_refs() for row in _get(ref).to_pylist()]


def _get(ref: Any) -> pa.Table:
    import ray

    return ray.get(ref)


def columns_inside(dataset: Any) -> dict[str, Any]:
    (schema,) = {_get(ref).schema for ref in dataset.to_arrow_refs() if _get(ref).num_rows}
    grouped = BATCH_META in schema.names
    return {f.name: f.type.value_type if grouped and f.name != BATCH_META else f.type for f in schema}


# Of many types, as Ray reads them from JSON or parquet; bytes and timestamps have a test of their own.
EXTRA = {"n": 7, "weight": 0.5, "tags": ["x", "y"], "nested": {"a": 1, "b": [None, "z"]}, "nothing": None}


def with_some_extras(rows: list[dict]) -> list[dict]:
    return [row | {name: value if i % 3 else None for name, value in EXTRA.items()} for i, row in enumerate(rows)]


@all_operators
def test_rows_and_types_are_those_of_the_default_executor(case, embedded_rows):
    rows = case.rows(with_some_extras(embedded_rows))
    expected = case.make().run(input_of(case, rows)).to_list()
    made = run_on_ray(case, rows)
    found = rows_of(made)
    if case.gives_topics:
        # After the grouper, rows have metadata, which are empty at first.
        found = [{name: value for name, value in row.items() if name != META} for row in found]
    assert comparable(found) == comparable(expected)
    assert len(found) == len(expected)

    before, after = columns_inside(ray_dataset(rows)), columns_inside(made)
    dropped = {EMBEDDING, "text"} & case.drops
    added = set(after) - (set(before) - dropped)
    assert added <= {META, STATS} | case.adds | ({ROW_ID, BATCH_META, EMBEDDING} if case.gives_topics else set())
    assert (set(before) - dropped) <= set(after)
    common = set(before) & set(after)
    assert {name: after[name] for name in common} == {name: before[name] for name in common}


def test_values_of_every_type_come_back_from_a_merge(embedded_rows):
    rows = with_extras(embedded_rows)
    merger = ops.LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.4)
    gate = ops.QualityGateFilter(scorer="tests.user_scorers:Constant", gamma=1.0)
    gated = process(ray_dataset(rows), ops.TopicClusterGrouper(num_clusters=3), merger, gate)
    restored = [{name: row[name] for name in rows[0] if name != EMBEDDING} for row in rows_of(gated)]
    expected = [{name: value for name, value in row.items() if name != EMBEDDING} for row in rows]
    assert sorted(restored, key=lambda row: row["id"]) == sorted(expected, key=lambda row: row["id"])
    assert {row[META]["merge_status"] for row in rows_of(gated)} == {"original", "restored"}


@some_operators
def test_null_and_odd_values_are_kept(case):
    case = case.keeping_all()
    rows = [row | {"id": str(i)} for i, row in enumerate(ODD_ROWS)]
    expected = case.make().run(input_of(case, rows)).to_list()
    found = rows_of(run_on_ray(case, rows))
    ids = sorted(key for row in found for key in (row["id"] if case.gives_topics else [row["id"]]) if key)
    assert ids == sorted(key for row in expected for key in (row["id"] if case.gives_topics else [row["id"]]) if key)
    assert ids


@some_operators
def test_one_row_is_enough(case, embedded_rows):
    (row,) = rows_of(run_on_ray(case, with_some_extras(embedded_rows[:1])))
    assert (row["id"][0] if case.gives_topics else row["id"]) == embedded_rows[0]["id"]


@some_operators
def test_no_rows_left_is_no_crash(case, embedded_rows):
    nothing = ray_dataset(embedded_rows).filter(lambda row: False)
    assert process(nothing, case.make()).count() == 0


@some_operators
def test_a_missing_column_is_named_with_those_there_are(case, embedded_rows):
    if case.reads_no_sample:
        pytest.skip("reads no sample, so it has nothing to miss")
    rows = [{name: value for name, value in row.items() if name != "output"} for row in embedded_rows]
    if case.reads_texts:
        with pytest.raises(DatasetError, match=r"the column 'text' .*is missing; the dataset has: .*'source'"):
            process(ray_dataset(rows), case.make())
        return
    before = [ops.TopicClusterGrouper(num_clusters=3, sample_format="alpaca")] if case.takes_topics else []
    with pytest.raises(Exception, match=r"'output'.* is missing") as error:
        process(ray_dataset(rows), *before, case.make(sample_format="alpaca"))
    # Data-Juicer runs filters with map, and Ray wraps the errors of its tasks.
    if not issubclass(case.operator, Filter):
        assert isinstance(error.value, DatasetError)


def test_rows_of_the_wrong_shape_are_refused(embedded_rows):
    flat = ray_dataset(embedded_rows)
    for operator in (ops.TopicReverseGrouper(), ops.LLMPairMergerMapper(merge_strategy="concat")):
        with pytest.raises(DatasetError, match="flat samples"):
            process(flat, operator)
    topics = process(flat, ops.TopicClusterGrouper(num_clusters=2))
    for operator in (ops.TopicClusterGrouper(), ops.SentenceEmbeddingMapper()):
        with pytest.raises(DatasetError, match="the rows are topics"):
            process(topics, operator)


def in_real_blocks(rows: list[dict]) -> list[dict]:
    """Rows with metadata, because Data-Juicer merges small blocks when it has to add this column."""
    return [row | {META: {"lang": "en"}} for row in rows]


def test_duplicate_rows_get_the_ids_of_the_default_executor(embedded_rows):
    rows = in_real_blocks(embedded_rows[:10] * 2 + embedded_rows[10:40] + embedded_rows[:5])
    # A row with the same content and another embedding, so it can be in another topic.
    rows.append(rows[0] | {EMBEDDING: rows[25][EMBEDDING]})
    grouper = ops.TopicClusterGrouper(num_clusters=3)
    expected = [row_id for ids in grouper.run(make_dataset(rows))[ROW_ID] for row_id in ids]
    found = [row_id for row in rows_of(process(ray_dataset(rows), grouper)) for row_id in row[ROW_ID]]
    assert sorted(found) == sorted(expected)
    assert len(set(found)) == len(rows)


@pytest.mark.parametrize(
    "parameters",
    [
        {"select_num": 25},
        {"select_num": 25, "allocation": "gain"},
        {"select_num": 25, "allocation": "equal"},
        {"num_per_topic": 7},
        {"select_ratio": 0.5, "metric": "euclidean"},
    ],
    ids=str,
)
def test_every_way_to_say_how_many_gives_the_rows_of_the_default_executor(parameters, embedded_rows):
    grouper, selector = ops.TopicClusterGrouper(num_clusters=4), ops.FacilityLocationSelector(**parameters)
    expected = selector.run(grouper.run(make_dataset(embedded_rows)))
    found = rows_of(process(ray_dataset(embedded_rows), grouper, selector))
    assert sorted(sorted(row["id"]) for row in found) == sorted(sorted(ids) for ids in expected["id"])


@pytest.mark.parametrize("size", every(2, [1, 17, 60, 119, 120, 500]))
def test_centroids_are_fitted_on_the_rows_with_the_lowest_ids(size, embedded_rows):
    embedded_rows = in_real_blocks(embedded_rows)
    grouper = ops.TopicClusterGrouper(num_clusters=4, fit_sample_size=size)
    expected = grouper.run(make_dataset(embedded_rows))
    found = rows_of(process(ray_dataset(embedded_rows, blocks=7), grouper))
    assert sorted(sorted(row["id"]) for row in found) == sorted(sorted(ids) for ids in expected["id"])


def test_duplicates_of_dropped_rows_get_the_ids_of_the_default_executor(embedded_rows):
    (zeros,) = encode_vectors(np.zeros((1, 384), dtype=np.float32))
    rows = in_real_blocks([embedded_rows[0] | {EMBEDDING: zeros}, *embedded_rows[:30]])
    grouper = ops.TopicClusterGrouper(num_clusters=3, unreadable_rows="drop")
    expected = [row_id for ids in grouper.run(make_dataset(rows))[ROW_ID] for row_id in ids]
    found = [row_id for row in rows_of(process(ray_dataset(rows), grouper)) for row_id in row[ROW_ID]]
    assert sorted(found) == sorted(expected)
    # The first duplicate is the dropped one.
    assert len(found) == 30
    assert sum(row_id.endswith("-1") for row_id in found) == 1


def test_ids_that_two_rows_bring_are_refused_wherever_the_rows_are(embedded_rows):
    rows = in_real_blocks([row | {ROW_ID: str(number)} for number, row in enumerate(embedded_rows)])
    grouper = ops.TopicClusterGrouper(num_clusters=3)
    brought = [row_id for row in rows_of(process(ray_dataset(rows), grouper)) for row_id in row[ROW_ID]]
    assert sorted(brought) == sorted(row[ROW_ID] for row in rows)
    rows[-1][ROW_ID] = "0"
    with pytest.raises(DatasetError, match=f"the column '{ROW_ID}' must hold a different text in every row"):
        process(ray_dataset(rows), grouper)


UNUSABLE = {
    "missing": (None, "row 119 has no embedding"),
    "no floats": ("AAAA", "row 119 has an embedding that is not base64 of float32"),
    "another width": (encode_vectors(np.eye(1, 8, dtype=np.float32))[0], "mixes embeddings of widths|of width 8"),
}


@pytest.mark.parametrize(
    ("kind", "blocks"), [*((kind, 3) for kind in UNUSABLE), *every(3, [(kind, 120) for kind in UNUSABLE])]
)
def test_embeddings_that_cannot_be_used_are_told_by_row(kind, blocks, embedded_rows):
    text, sentence = UNUSABLE[kind]
    rows = in_real_blocks([*embedded_rows[:-1], embedded_rows[-1] | {EMBEDDING: text}])
    with pytest.raises(EmbeddingError, match=sentence):
        process(ray_dataset(rows, blocks), ops.TopicClusterGrouper(num_clusters=3))


@pytest.mark.parametrize("first_half", [{}, {"n": 1}, {"nested": {"a": 1}}], ids=["missing", "whole", "part"])
def test_ids_do_not_depend_on_the_columns_that_a_block_happens_to_have(first_half, embedded_rows):
    import ray

    half = len(embedded_rows) // 2
    rows = in_real_blocks([row | first_half for row in embedded_rows[:half]])
    rows += in_real_blocks([row | {"n": 0.5, "nested": {"a": 1, "b": "x"}} for row in embedded_rows[half:]])
    whole = pa.concat_tables(
        [pa.Table.from_pylist(rows[:half]), pa.Table.from_pylist(rows[half:])], promote_options="permissive"
    )
    grouper = ops.TopicClusterGrouper(num_clusters=3)
    expected = [row_id for ids in grouper.run(make_dataset(whole.to_pylist()))[ROW_ID] for row_id in ids]
    dataset = ray.data.from_arrow([pa.Table.from_pylist(rows[:half]), pa.Table.from_pylist(rows[half:])])
    assert sorted(row_id for row in rows_of(grouper.run(dataset)) for row_id in row[ROW_ID]) == sorted(expected)


def test_a_block_that_fails_is_the_last_that_is_started(tmp_path):
    """Running tasks are not cancelled, because Ray ends the driver if a task ends while it is being cancelled."""
    from mergeit_ops.distributed.blocks import Blocks

    def fail_first(table: pa.Table, folder: str) -> tuple[None, int]:
        number = table["n"][0].as_py()
        if number == 0:
            raise DatasetError("no use")
        time.sleep(0.2)
        (Path(folder) / str(number)).touch()
        return None, number

    blocks = Blocks.of(ray_dataset([{"n": number} for number in range(40)], blocks=40))
    with pytest.raises(DatasetError, match="no use"):
        blocks.tell(fail_first, str(tmp_path))
    time.sleep(2)
    begun = list(tmp_path.iterdir())
    assert len(begun) < 8
    # The cluster still works.
    assert blocks.tell(lambda table: (None, table.num_rows)) == [1] * 40


def test_our_errors_come_as_they_were_raised(embedded_rows):
    grouper = ops.TopicClusterGrouper(embedding_model="no/such-model")
    rows = [{name: value for name, value in row.items() if name != EMBEDDING} for row in embedded_rows]
    with pytest.raises(EmbeddingError) as error:
        grouper.run(ray_dataset(rows))
    assert type(error.value) is EmbeddingError
    assert "\n" not in str(error.value)


def test_a_gate_that_is_given_topics_says_so(embedded_rows):
    with pytest.raises(Exception, match="quality_gate_filter: the rows are topics"):
        process(ray_dataset(embedded_rows), ops.TopicClusterGrouper(num_clusters=2), ops.QualityGateFilter())


def test_scores_among_all_reach_the_filters_behind(embedded_rows):
    """Our operators and Data-Juicer's, which read the columns once, before any operator runs."""
    from data_juicer.ops import load_ops

    among_all = ops.PoolScoreMapper(scorer_params={"k": 2})
    by_length = ops.SampleScoreFilter(scorer="tests.user_scorers:ByLength", on_missing_score="drop")
    (near,) = load_ops([{"general_field_filter": {"filter_condition": "__dj__stats__.knn_distance < 1.0"}}])
    expected = [row[STATS] for row in among_all.run(make_dataset(embedded_rows))]
    found = rows_of(process(ray_dataset(embedded_rows), among_all, by_length, near))
    distances = sorted(row[STATS]["knn_distance"] for row in found)
    assert 0 < len(found) < len(embedded_rows)
    assert distances == pytest.approx(
        sorted(stats["knn_distance"] for stats in expected if stats["knn_distance"] < 1.0), abs=1e-5
    )
    assert all(row[STATS]["by_length_score"] == len(row["output"]) for row in found)


def test_a_score_that_needs_the_texts_of_other_rows_is_that_of_the_default_executor(embedded_rows):
    params = {"hf_model": gpt2_folder(), "max_length": 128, "cache_path": None}
    among_all = ops.PoolScoreMapper(scorer="miwv", scorer_params=params)
    rows = [row | {"output": row["output"][:8]} for row in embedded_rows[:30]]
    expected = {row["id"]: row[STATS] for row in among_all.run(make_dataset(rows))}
    found = {row["id"]: row[STATS] for row in rows_of(process(ray_dataset(rows), among_all))}
    assert sum(stats["miwv"] is not None for stats in expected.values()) > 9
    for row_id, stats in expected.items():
        for key, value in stats.items():
            assert found[row_id][key] == (pytest.approx(value, abs=1e-5) if isinstance(value, float) else value)


@pytest.mark.parametrize("name", ["prompt_uncertainty", "nuggets"])
def test_scores_that_need_no_embeddings_are_those_of_the_default_executor(name, embedded_rows, tmp_path):
    rows = [
        {
            "id": row["id"],
            "instruction": row["instruction"][:20],
            "input": "",
            "output": row["output"][:8],
            "task": n % 3,
        }
        for n, row in enumerate(embedded_rows[:9])
    ]
    rows.append({**rows[0], "id": "unreadable", "instruction": ""})
    (tmp_path / "anchors.jsonl").write_text(json.dumps(rows[0]), encoding="utf-8")
    params = {"prompt_uncertainty": {"group_key": "task"}, "nuggets": {"anchors": str(tmp_path / "anchors.jsonl")}}
    operator = ops.PoolScoreMapper(
        scorer=name,
        scorer_params={"hf_model": gpt2_folder(), "max_length": 128, **params[name]},
        embedding_model="a/model-that-is-not-there",
    )
    expected = {row["id"]: row[STATS] for row in operator.run(make_dataset(rows))}
    found = {row["id"]: row[STATS] for row in rows_of(process(ray_dataset(rows), operator))}
    assert found.keys() == expected.keys()
    assert any(isinstance(value, float) for stats in expected.values() for value in stats.values())
    for row_id, stats in expected.items():
        for key, value in stats.items():
            assert found[row_id][key] == (pytest.approx(value, abs=1e-5) if isinstance(value, float) else value)


def test_losses_of_all_tasks_are_in_the_journal_of_the_driver(embedded_rows):
    rows = [row | {"output": row["output"][:8]} for row in embedded_rows[:12]]
    params = {"hf_model": gpt2_folder(), "max_length": 128}
    stored = []
    for operator in (
        ops.SampleScoreFilter(scorer="response_loss", scorer_params=params),
        ops.PoolScoreMapper(scorer="miwv", scorer_params=params),
        ops.PoolScoreMapper(scorer="miwv", scorer_params=params),
    ):
        rows_of(process(ray_dataset(rows), operator))
        stored.append(by_model(default_cache_path(LOSSES_FILE))[0].answers)
    assert 0 < stored[0] < stored[1] == stored[2]


def test_a_score_filter_behind_the_gate_leaves_the_figures_of_the_gate(embedded_rows):
    operators = [
        ops.TopicClusterGrouper(num_clusters=3),
        ops.LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.4),
        ops.QualityGateFilter(scorer="tests.user_scorers:ByLength"),
        ops.SampleScoreFilter(scorer="tests.user_scorers:ByLength"),
    ]
    rows = rows_of(process(ray_dataset(embedded_rows), *operators))
    merged = [row for row in rows if row[META]["merge_status"] == "merged"]
    assert merged
    assert all(row[STATS]["quality_score"] == row[STATS]["by_length_score"] for row in merged)


def test_a_flat_selection_adds_nothing(embedded_rows):
    rows = in_real_blocks(embedded_rows)
    found = rows_of(process(ray_dataset(rows), ops.FacilityLocationSelector(keep_embeddings=True)))
    assert len(found) == 24
    assert all(row in rows for row in found)


@pytest.mark.slow
def test_actors_embed_and_score_as_tasks_do(embedded_rows):
    """With a GPU, the operator runs in an actor. On a CPU, an actor must give the same rows."""
    rows = in_real_blocks([{k: v for k, v in row.items() if k != EMBEDDING} for row in embedded_rows[:40]])
    actor = {"ray_execution_mode": "actor", "num_proc": 1}
    embedded = rows_of(process(ray_dataset(rows), ops.SentenceEmbeddingMapper(**actor)))
    expected = rows_of(process(ray_dataset(rows), ops.SentenceEmbeddingMapper()))
    vectors = [decode_vectors([row[EMBEDDING] for row in found]) for found in (embedded, expected)]
    assert (vectors[0] * vectors[1]).sum(axis=1).min() > 0.9999
    length = {"scorer": "tests.user_scorers:ByLength", "score_all": True}
    scored = rows_of(process(ray_dataset(rows), ops.QualityGateFilter(**length, **actor)))
    assert [row[STATS]["quality_score"] for row in scored] == [len(row["output"]) for row in rows]


@pytest.mark.parametrize("layout", ["alpaca", "json_text"])
@pytest.mark.parametrize("fate", ["keep", "drop"])
def test_unreadable_rows_have_the_same_fate_as_in_the_default_executor(layout, fate):
    rows = mixed(layout)
    chain = [
        ops.TopicClusterGrouper(num_clusters=2, unreadable_rows=fate),
        ops.FacilityLocationSelector(select_num=3, unreadable_rows=fate),
        ops.TopicReverseGrouper(),
    ]
    expected: Any = make_dataset(rows)
    for operator in chain:
        expected = operator.run(expected)
    assert comparable(rows_of(process(ray_dataset(rows), *chain))) == comparable(expected.to_list())
    flat = ops.FacilityLocationSelector(select_num=3, unreadable_rows=fate)
    kept = rows_of(process(ray_dataset(rows), flat))
    assert comparable(kept) == comparable(flat.run(make_dataset(rows)).to_list())
    assert len(kept) == (5 if fate == "keep" else 3)


@pytest.mark.parametrize("as_lists", [False, True])
@pytest.mark.parametrize("fate", ["keep", "drop"])
def test_unreadable_rows_that_bring_embeddings_have_the_same_fate_as_in_the_default_executor(as_lists, fate):
    rows = with_vectors(mixed("messages"), as_lists)
    grouper = ops.TopicClusterGrouper(num_clusters=2, unreadable_rows=fate)
    flat = ops.FacilityLocationSelector(select_num=3, unreadable_rows=fate)
    for chain in ([grouper, flat, ops.TopicReverseGrouper()], [flat]):
        expected: Any = make_dataset(rows)
        for operator in chain:
            expected = operator.run(expected)
        kept = rows_of(process(ray_dataset(rows), *chain))
        assert comparable(kept) == comparable(expected.to_list())
        assert len(kept) == (5 if fate == "keep" else 3)


def test_a_dataset_of_which_most_cannot_be_read_is_refused_on_ray():
    rows = [{"messages": "no JSON"}] * 7 + [{"messages": json.dumps([{"role": "user", "content": "Hi."}])}]
    for operator in (ops.TopicClusterGrouper(), ops.SentenceEmbeddingMapper(), ops.FacilityLocationSelector()):
        with pytest.raises(DatasetError, match=r"7 of 8 rows have no text that can be read .row 0, column 'messages'"):
            process(ray_dataset(rows), operator)


def test_embeddings_as_lists_of_floats_and_pair_within_work_on_ray(embedded_rows):
    vectors = decode_vectors([row[EMBEDDING] for row in embedded_rows])
    rows = [row | {"lang": "en" if number % 2 else "de"} for number, row in enumerate(embedded_rows)]
    as_lists = [row | {EMBEDDING: vector.tolist()} for row, vector in zip(rows, vectors, strict=True)]
    merger = ops.LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.4, pair_within=["lang"])
    expected = merger.run(ops.TopicClusterGrouper(num_clusters=3).run(make_dataset(rows))).to_list()
    found = rows_of(process(ray_dataset(as_lists), ops.TopicClusterGrouper(num_clusters=3), merger))
    assert {row["lang"] for row in found} == {"en", "de"}
    assert comparable(found) == comparable(expected)


TOGETHER = {
    "null and text": (None, "a"),
    "null and list": (None, ["a"]),
    "whole number and float": (1, 0.5),
    "struct and a wider one": ({"a": 1}, {"a": 1, "b": "x"}),
}
APART = {
    "whole number and text": (1, "a", "int64", "string"),
    "list and text": (["a"], "a", "list<item: string>", "string"),
    "struct and text": ({"a": 1}, "a", "struct<a: int64>", "string"),
    "structs whose fields differ": ({"a": 1}, {"a": "x"}, "struct<a: int64>", "struct<a: string>"),
    "lists of different things": ([1], ["x"], "list<item: int64>", "list<item: string>"),
    "flag and number": (True, 1, "bool", "int64"),
    "whole number that no float is": (2**53 + 1, 0.5, "int64", "double"),
}


def of_two_files(first: Any, second: Any, rows: list[dict], bare: bool) -> Any:
    import ray

    halves = []
    for value, part in ((first, rows[:20]), (second, rows[20:40])):
        kept = [{name: text for name, text in row.items() if name != EMBEDDING or not bare} for row in part]
        halves.append(pa.Table.from_pylist(in_real_blocks([row | {"x": value} for row in kept])))
    return ray.data.from_arrow(halves)


@pytest.mark.parametrize("kind", TOGETHER)
def test_files_whose_types_go_together_are_one_dataset(kind, embedded_rows):
    dataset = of_two_files(*TOGETHER[kind], embedded_rows, bare=False)
    found = rows_of(process(dataset, ops.TopicClusterGrouper(num_clusters=2), ops.TopicReverseGrouper()))
    assert len(found) == 40
    assert sum(row["x"] is not None for row in found) in (20, 40)


@pytest.mark.parametrize("kind", APART)
def test_files_whose_types_do_not_are_refused_before_any_embedding(kind, embedded_rows):
    first, second, *types = APART[kind]
    # This model does not exist, so an operator that embeds first fails with another error.
    bare = kind != "whole number that no float is"
    parameters = {"embedding_model": "no/such-model"}
    operators = [ops.TopicClusterGrouper(num_clusters=2, **parameters)]
    if bare:
        operators += [ops.SentenceEmbeddingMapper(**parameters), ops.FacilityLocationSelector(**parameters)]
        operators += [ops.BudgetSelector(select_num=3)]
    for operator in operators:
        with pytest.raises(DatasetError) as refused:
            operator.run(of_two_files(first, second, embedded_rows, bare))
        assert "\n" not in str(refused.value)
        for part in (operator._name, "the column 'x'", *types):
            assert part in str(refused.value)


def test_a_tagging_operator_behind_the_merger_leaves_the_lineage_alone(embedded_rows):
    merger = ops.LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.4)
    grouper = ops.TopicClusterGrouper(num_clusters=3)
    tagged = rows_of(process(ray_dataset(embedded_rows), grouper, merger, LengthTaggingMapper()))
    assert {row[META]["merge_status"] for row in tagged} == {"original", "merged"}
    assert all(row[META]["length"] == len(row["output"]) for row in tagged)


@pytest.mark.parametrize(
    ("allocation", "drops"), every(3, product([None, "proportional", "gain", "taylor"], [False, True]))
)
def test_quality_and_a_target_choose_the_rows_of_the_default_executor(embedded_rows, tmp_path, allocation, drops):
    """On flat rows, and on topics with each allocation. The records must agree too."""
    target = tmp_path / "target.txt"
    target.write_text("".join(row["instruction"].replace("\n", " ") + "\n" for row in embedded_rows[::20]))
    rows = [
        row | {STATS: {"quality_score": None if at % 5 == 2 else at % 17 / 3.0}} for at, row in enumerate(embedded_rows)
    ]
    before = [] if allocation is None else [ops.TopicClusterGrouper(num_clusters=4)]

    def selector(folder: str) -> Any:
        operator = ops.FacilityLocationSelector(
            select_num=25,
            allocation=allocation or "proportional",
            score_key="quality_score",
            score_weight=0.3,
            score_scale="rank",
            missing_score="drop" if drops else "lowest",
            target_path=str(target),
            target_weight=0.3,
        )
        operator.work_dir = str(tmp_path / folder)
        return operator

    dataset = make_dataset(rows)
    for operator in [*before, selector("default")]:
        dataset = operator.run(dataset)
    found = rows_of(process(ray_dataset(rows), *before, selector("ray")))

    def ids(selected: Any) -> list[str]:
        return sorted(key for row in selected for key in ([row["id"]] if allocation is None else row["id"]))

    assert ids(found) == ids(dataset)
    assert len(ids(found)) == 25
    default, ray = (read_manifests(tmp_path / folder)[-1]["figures"] for folder in ("default", "ray"))
    for figure in ("mean_score", "target_similarity"):
        assert ray[figure] == pytest.approx(default[figure], abs=1e-3)


def test_a_missing_stat_is_named_on_ray_too(embedded_rows):
    rows = [row | {STATS: {"num_words": 3.0}} for row in embedded_rows]
    operator = ops.FacilityLocationSelector(score_key="quality_score", score_weight=0.3)
    with pytest.raises(DatasetError, match="no sample has a number at the score_key 'quality_score'"):
        process(ray_dataset(rows), operator)


@pytest.mark.parametrize("method", every(3, DIVERSITY_METHODS))
def test_methods_choose_the_same_rows_on_ray(embedded_rows, method):
    selector = ops.DiversitySelector(method, select_num=20)
    on_ray = rows_of(process(ray_dataset(embedded_rows), selector))
    assert [row["id"] for row in on_ray] == selector.run(make_dataset(embedded_rows))["id"][:]


def test_methods_without_embeddings_choose_the_same_rows_on_ray(embedded_rows):
    rows = [row | {"grade": number % 7, "group": number % 5} for number, row in enumerate(embedded_rows)]
    for parameters in ({"method": "cluster_top", "topic_key": "group"}, {"method": "ngram_coverage"}):
        selector = ops.ScoredDiversitySelector(score_key="grade", select_num=20, **parameters)
        on_ray = [row["id"] for row in rows_of(process(ray_dataset(rows), selector))]
        assert on_ray == selector.run(make_dataset(rows))["id"][:]


def test_rows_that_are_chosen_already_are_the_same_on_ray(embedded_rows):
    rows = [row | {"labelled": number % 17 == 0 or None} for number, row in enumerate(embedded_rows)]
    selector = ops.DiversitySelector(select_num=20, start="column", start_column="labelled")
    on_ray = [row["id"] for row in rows_of(process(ray_dataset(rows), selector))]
    assert on_ray == selector.run(make_dataset(rows))["id"][:]
    assert {row["id"] for row in rows if row["labelled"]} <= set(on_ray)


def test_a_block_whose_texts_are_all_dropped_leaves_the_others_as_they_are(monkeypatch):
    monkeypatch.setenv("OPENAI_API_KEY", "none")
    rows = [{"text": f"Text {number} is about bread.", "n": number} for number in range(6)]
    rows[2:4] = [{"text": "short", "n": 2}, {"text": None, "n": 3}]
    with FakeLLMServer(merge_answer) as server:
        given = {"min_chars": 10, "on_failure": "drop", "model_params": {"base_url": server.base_url}}
        by_length = ops.SampleScoreFilter(scorer="tests.user_scorers:ByLength", min_score=1)
        found = rows_of(process(ray_dataset(rows), ops.BacktranslationMapper(**given), by_length))
    assert [row["n"] for row in found] == [0, 1, 4, 5]
    assert {row[META]["backtranslation_status"] for row in found} == {"ok"}
    assert [row["output"] for row in found] == [rows[number]["text"] for number in (0, 1, 4, 5)]
