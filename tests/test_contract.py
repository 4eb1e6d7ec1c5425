"""Properties that hold for every operator: one suite for all of them, in this process."""

from __future__ import annotations

import datetime as dt
from collections import Counter
from collections.abc import Callable
from dataclasses import dataclass, field, replace
from typing import Any

import pyarrow as pa
import pytest
from datasets import Dataset

from mergeit_ops import ops
from mergeit_ops.constraints import MAPPING
from mergeit_ops.core.columns import BATCH_META, EMBEDDING, META, ROW_ID, STATS
from mergeit_ops.core.rows.lossless import decode_row
from mergeit_ops.errors import DatasetError, RecipeError
from mergeit_ops.ops.parameters import declared_parameters
from scripts import parameter_tables
from tests.conftest import REPOSITORY
from tests.recipe_runs import make_dataset
from tests.tiny_models import gpt2_folder

SAMPLE_COLUMNS = ("instruction", "input", "output", "q", "context", "a")
BENCHMARK = str(REPOSITORY / "tests" / "layouts" / "alpaca_think.jsonl")
"""Its rows are in no dataset of these tests."""


@dataclass(frozen=True)
class Case:
    """An operator, parameters under which it needs no LLM, and what it does to columns."""

    operator: type
    takes_topics: bool = False
    gives_topics: bool = False
    parameters: dict[str, Any] = field(default_factory=dict)
    adds: frozenset[str] = frozenset()
    drops: frozenset[str] = frozenset()
    asks_a_model: bool = False
    reads_labels: bool = False
    reads_grades: bool = False
    reads_texts: bool = False

    def make(self, **more: Any) -> Any:
        model = (
            {"scorer": "response_loss", "scorer_params": {"hf_model": gpt2_folder(), "cache_path": None}}
            if self.asks_a_model
            else {}
        )
        return self.operator(**{**model, **self.parameters, **more})

    def keeping_all(self) -> Case:
        """The same case, with parameters that leave out no row."""
        allowed = self.operator._constraints
        bounds = {"select_ratio": 1.0, "max_similarity": 1.0}
        more = {name: bound for name, bound in bounds.items() if name in allowed and allowed[name].allows(bound)}
        return replace(self, parameters={**self.parameters, **more})

    def rows(self, rows: list[dict]) -> list[dict]:
        """The same rows, with tags or a score if the operator reads them, or with one text instead of a sample."""
        if self.reads_texts and not all("text" in row for row in rows):
            beside = [{name: value for name, value in row.items() if name not in SAMPLE_COLUMNS} for row in rows]
            return [other | {"text": row.get("output", row.get("a"))} for other, row in zip(beside, rows, strict=True)]
        if self.reads_labels:
            return [row | {"labels": str(row.get("instruction")).split()[:4]} for row in rows]
        return [row | {"grade": i % 7} for i, row in enumerate(rows)] if self.reads_grades else rows

    @property
    def reads_no_sample(self) -> bool:
        no_readers = (ops.TopicReverseGrouper, ops.BudgetSelector, ops.CombinedScoreFilter, ops.TagNormalizationMapper)
        return self.operator in no_readers

    def __str__(self) -> str:
        return self.operator._name + "_on_topics" * self.takes_topics + "_by_losses" * self.asks_a_model


CASES = [
    Case(ops.SentenceEmbeddingMapper, adds=frozenset({EMBEDDING})),
    Case(ops.TopicClusterGrouper, gives_topics=True, adds=frozenset({EMBEDDING, ROW_ID, BATCH_META})),
    Case(ops.FacilityLocationSelector, drops=frozenset({EMBEDDING})),
    Case(ops.FacilityLocationSelector, takes_topics=True, gives_topics=True),
    Case(ops.DiversitySelector, drops=frozenset({EMBEDDING})),
    Case(ops.DiversitySelector, takes_topics=True, gives_topics=True),
    Case(ops.TagCoverageSelector, parameters={"tags_key": "labels"}, drops=frozenset({EMBEDDING}), reads_labels=True),
    Case(
        ops.TagCoverageSelector,
        takes_topics=True,
        gives_topics=True,
        parameters={"tags_key": "labels", "method": "information_gain"},
        reads_labels=True,
    ),
    Case(ops.InstructionTagMapper, parameters={"tags_key": "intents"}, adds=frozenset({"intents"})),
    Case(
        ops.InstructionTagMapper,
        parameters={"tags_key": "intents", "tagger": "llm", "dry_run": True},
        adds=frozenset({"intents", STATS}),
    ),
    Case(ops.InstructionRewriteMapper, parameters={"dry_run": True}),
    Case(
        ops.BacktranslationMapper,
        parameters={"dry_run": True},
        adds=frozenset({"instruction", "input", "output", META}),
        drops=frozenset({"text", EMBEDDING}),
        reads_texts=True,
    ),
    Case(ops.TagNormalizationMapper, parameters={"tags_key": "labels"}, reads_labels=True),
    Case(
        ops.ScoredDiversitySelector, parameters={"score_key": "grade"}, drops=frozenset({EMBEDDING}), reads_grades=True
    ),
    Case(
        ops.ScoredDiversitySelector,
        takes_topics=True,
        gives_topics=True,
        parameters={"score_key": "grade"},
        reads_grades=True,
    ),
    Case(ops.LowConfidenceSelector, adds=frozenset({STATS}), drops=frozenset({EMBEDDING})),
    Case(ops.SemanticDeduplicator, drops=frozenset({EMBEDDING})),
    Case(ops.SemanticDeduplicator, takes_topics=True, gives_topics=True),
    Case(ops.BudgetSelector, parameters={"select_num": 50}),
    Case(ops.SampleScoreFilter, parameters={"scorer": "tests.user_scorers:ByLength"}, adds=frozenset({STATS})),
    Case(ops.PoolScoreMapper, adds=frozenset({STATS})),
    # No row has a number there, so none has a score and all are kept.
    Case(ops.CombinedScoreFilter, parameters={"weights": {"id": 1.0}}, adds=frozenset({STATS})),
    Case(ops.DecontaminationFilter, parameters={"paths": BENCHMARK}, adds=frozenset({STATS})),
    Case(ops.SampleScoreFilter, adds=frozenset({STATS}), asks_a_model=True),
    Case(
        ops.TopicReverseGrouper,
        takes_topics=True,
        adds=frozenset({META}),
        drops=frozenset({BATCH_META, ROW_ID, EMBEDDING}),
    ),
    Case(
        ops.LLMPairMergerMapper,
        takes_topics=True,
        parameters={"merge_strategy": "concat", "similarity_threshold": 0.4},
        adds=frozenset({META, STATS}),
        drops=frozenset({BATCH_META, ROW_ID, EMBEDDING}),
    ),
    Case(
        ops.QualityGateFilter,
        parameters={"score_all": True, "scorer": "tests.user_scorers:ByLength"},
        adds=frozenset({STATS}),
    ),
]
all_operators = pytest.mark.parametrize("case", CASES, ids=str)

EXTRA = {
    "n": 7,
    "weight": 0.5,
    "tags": ["x", "y"],
    "nested": {"a": 1, "b": [None, "z"]},
    "when": dt.datetime(2026, 1, 2, 3, 4, 5),
    "blob": b"\x00\xff",
    "nothing": None,
}


def with_extras(rows: list[dict]) -> list[dict]:
    """Rows with columns of many types, null in every third row."""
    return [row | {k: v if i % 3 else None for k, v in EXTRA.items()} for i, row in enumerate(rows)]


def input_of(case: Case, rows: list[dict]) -> Any:
    rows = case.rows(rows)
    return topics_of(repr(rows), lambda: make_dataset(rows)) if case.takes_topics else make_dataset(rows)


_topics: dict[str, Any] = {}


def topics_of(key: str, dataset: Callable[[], Any]) -> Any:
    """Group rows once for all operators that take topics, because no operator changes its input."""
    if key not in _topics:
        _topics[key] = ops.TopicClusterGrouper(num_clusters=3).run(dataset())
    return _topics[key]


def content(dataset: Any) -> list[dict]:
    return dataset.to_list()


def columns_inside(dataset: Any) -> dict[str, Any]:
    """Column name to Arrow type; inside topics, of the samples."""
    schema = dataset.features.arrow_schema
    grouped = BATCH_META in schema.names
    return {f.name: f.type.value_type if grouped and f.name != BATCH_META else f.type for f in schema}


def ids_in(case: Case, dataset: Any) -> list[str]:
    """The ids of all rows of a result, sorted; a merged row counts as its parents."""
    values = [value for row in dataset for value in row["id"]] if case.gives_topics else list(dataset["id"])
    metas = dataset[META] if META in dataset.column_names else []
    parents = [decode_row(text)["id"] for meta in metas or [] for text in meta.get("merge_parents", [])]
    return sorted([value for value in values if value is not None] + parents)


@all_operators
def test_the_same_input_gives_the_same_output_and_is_left_alone(case, embedded_rows):
    dataset = input_of(case, with_extras(embedded_rows))
    before = content(dataset)
    first = content(case.make().run(dataset))
    assert content(case.make().run(dataset)) == first
    assert content(dataset) == before


@all_operators
def test_the_number_of_processes_changes_nothing(case, embedded_rows):
    """True by design, because one process does the work. The test guards this if an operator ever uses several."""
    dataset = input_of(case, embedded_rows[:40])
    assert content(case.make(num_proc=2).run(dataset)) == content(case.make(num_proc=1).run(dataset))


@all_operators
@pytest.mark.parametrize("pickler", ["dill", "cloudpickle"])
def test_an_operator_survives_pickling(case, embedded_rows, pickler):
    # The default executor sends operators to its workers with dill, and Ray with cloudpickle. The standard pickle
    # cannot handle methods that Data-Juicer has wrapped.
    library = pytest.importorskip(pickler)
    dataset = input_of(case, embedded_rows[:30])
    operator = case.make()
    copy = library.loads(library.dumps(operator))
    assert copy.parameters == operator.parameters
    assert content(copy.run(dataset)) == content(operator.run(dataset))


@all_operators
def test_columns_are_the_declared_ones_and_types_stay(case, embedded_rows):
    dataset = input_of(case, with_extras(embedded_rows))
    result = case.make().run(dataset)
    before, after = columns_inside(dataset), columns_inside(result)
    assert set(after) == (set(before) - case.drops) | case.adds
    common = (set(before) & set(after)) - {META, STATS, BATCH_META}
    assert {name: after[name] for name in common} == {name: before[name] for name in common}


@all_operators
def test_an_empty_dataset_stays_empty_and_keeps_its_columns(case, embedded_rows):
    dataset = input_of(case, with_extras(embedded_rows)).select([])
    result = case.make().run(dataset)
    assert len(result) == 0
    assert set(result.column_names) == (set(dataset.column_names) - case.drops) | case.adds


@all_operators
def test_one_row_is_enough(case, embedded_rows):
    result = case.make().run(input_of(case, with_extras(embedded_rows[:1])))
    assert len(result) == 1
    ids = result["id"][0] if case.gives_topics else result["id"]
    assert list(ids) == [embedded_rows[0]["id"]]


ODD_ROWS = [
    {"instruction": None, "input": None, "output": None},
    {"instruction": "", "input": "", "output": ""},
    {"instruction": " \n", "input": None, "output": "\t"},
    {"instruction": "x" * 100_000, "input": "", "output": "y" * 100_000},
    {"instruction": "emoji \U0001f600 and \u0000 nul", "input": "\u202e", "output": '{"instruction": 1}'},
    {"instruction": "Name a fruit.", "input": "", "output": "Apple"},
    {"instruction": "Name a fruit!", "input": "", "output": "Pear"},
    {"instruction": "Name a fruit.", "input": "", "output": "Apple"},
]


@all_operators
def test_null_and_odd_values_are_kept(case):
    case = case.keeping_all()
    rows = [row | {"id": str(i)} for i, row in enumerate(ODD_ROWS)]
    assert ids_in(case, case.make().run(input_of(case, rows))) == [row["id"] for row in rows]


@all_operators
def test_columns_of_numbers_where_text_should_be_are_kept_too(case):
    case = case.keeping_all()
    rows = [{"id": str(i), "instruction": i, "input": 0.5, "output": [i]} for i in range(4)]
    if case.reads_texts:
        with pytest.raises(DatasetError, match=f"{case.operator._name}: the column 'text' holds values of type list"):
            case.make().run(input_of(case, rows))
        return
    assert ids_in(case, case.make().run(input_of(case, rows))) == ["0", "1", "2", "3"]


@all_operators
@pytest.mark.parametrize("missing", ["instruction", "output"])
def test_a_missing_column_is_named_with_those_there_are(case, missing, embedded_rows):
    dataset = input_of(case, embedded_rows[:5])
    if case.reads_texts:
        with pytest.raises(DatasetError, match=f"{case.operator._name}: the column 'text' .* is missing.*'source'"):
            case.make().run(dataset.remove_columns(["text"]))
        return
    dataset = dataset.remove_columns([missing])
    if case.reads_no_sample:
        # It reads no sample, so no column can be missing.
        assert len(case.make().run(dataset)) == 5
        return
    with pytest.raises(DatasetError, match=f"{case.operator._name}: no sample format fits.*'source'"):
        case.make().run(dataset)
    with pytest.raises(DatasetError, match=f"{case.operator._name}: the column '{missing}'.* is missing"):
        case.make(sample_format="alpaca").run(dataset)


@all_operators
def test_columns_under_other_names_are_found(case, embedded_rows):
    renamed = [{"q": r["instruction"], "context": r["input"], "a": r["output"], "id": r["id"]} for r in embedded_rows]
    keys = {"instruction_key": "q", "query_key": "context", "response_key": "a"}
    dataset = make_dataset(case.rows(renamed[:20]))
    if case.takes_topics:
        dataset = ops.TopicClusterGrouper(num_clusters=2, **keys).run(dataset)
    case = case.keeping_all()
    assert ids_in(case, case.make(**keys).run(dataset)) == sorted(row["id"] for row in embedded_rows[:20])


@all_operators
def test_an_operator_never_lets_data_juicer_swallow_an_exception(case):
    assert case.make(skip_op_error=True).skip_op_error is False


@all_operators
def test_registered_under_the_name_of_its_file(case):
    from data_juicer.ops.base_op import OPERATORS

    assert OPERATORS.modules[case.operator._name] is case.operator
    assert case.operator.__module__ == f"mergeit_ops.ops.{case.operator._name}"


@all_operators
@pytest.mark.parametrize("executor", ["default", "ray", "ray_partitioned"])
def test_every_executor_is_supported(case, executor):
    from data_juicer.core.data.schema import Schema
    from data_juicer.core.preflight import post_instantiation_check
    from jsonargparse import Namespace

    schema = Schema.from_hf_features(make_dataset([{"text": "a"}]).features)
    post_instantiation_check([case.make()], schema, Namespace(executor_type=executor, export_path=None))


BAD_VALUES = {
    ops.SentenceEmbeddingMapper: {"embedding_model": "", "embedding_batch_size": 0},
    ops.TopicClusterGrouper: {
        "num_clusters": 0,
        "pca_variance": 1.0,
        "seed": -1,
        "fit_sample_size": 2.5,
        "sample_format": "csv",
    },
    ops.FacilityLocationSelector: {
        "select_ratio": 0,
        "num_per_topic": 0,
        "select_num": -1,
        "allocation": "fair",
        "metric": "dot",
        "keep_embeddings": "yes",
    },
    ops.DiversitySelector: {"num_per_topic": 1.5, "allocation": "gain"},
    ops.TagCoverageSelector: {
        "method": "k_center",
        "allocation": "gain",
        "tags_key": "",
        "gain": "best",
        "exponent": 0,
        "edge_similarity": 1.5,
        "propagation": -1,
        "normalize_by_tags": "yes",
        "score_scale": "log",
    },
    ops.InstructionTagMapper: {"tagger": "gpt", "tags_key": "", "max_tags": 0, "ngram_max": 6, "min_tag_count": 0.5},
    ops.InstructionRewriteMapper: {
        "method": "evolve",
        "add_nodes": 2,
        "regenerate_response": "no",
        "dry_run": 1,
        "derived_columns": "text",
        "try_num": 0,
    },
    ops.BacktranslationMapper: {
        "method": "humpback",
        "text_key": "",
        "min_chars": -1,
        "max_chars": 0,
        "min_line_chars": 0.5,
        "on_failure": "raise",
        "dry_run": 1,
        "try_num": 0,
    },
    ops.TagNormalizationMapper: {
        "tags_key": None,
        "min_tag_count": 0,
        "merge_similarity": 0,
        "min_support": 1.5,
        "min_confidence": None,
        "mapping_path": "",
    },
    ops.ScoredDiversitySelector: {"method": "qdit", "max_similarity": "high", "max_ngram": 0, "best_per_topic": -1},
    ops.LowConfidenceSelector: {
        "num_clusters": 1,
        "method": "nb",
        "misclassified_first": "yes",
        "train_per_cluster": 0,
    },
    ops.SemanticDeduplicator: {"max_similarity": 1.1, "keep": "best", "chain": "long", "across_cells": 1},
    ops.BudgetSelector: {"select_num": 0, "field_key": "", "reverse": None, "seed": -1},
    ops.PoolScoreMapper: {"scorer": "", "scorer_params": "x", "embedding_model": "", "read": "trace"},
    ops.SampleScoreFilter: {
        "measure": "",
        "on_missing_score": "lowest",
        "score_all": "yes",
        "read": "trace",
        "scorer": "",
        "scorer_params": [1],
        "min_score": "0",
        "max_score": float("nan"),
    },
    ops.CombinedScoreFilter: {
        "preset": "alpagasus",
        "weights": [1],
        "combine": "mean",
        "intercept": None,
        "turns": "last",
        "full_at": "x",
        "rename": [1],
        "stat": "",
        "min_score": "0",
        "max_score": float("nan"),
        "on_missing_score": "lowest",
    },
    ops.DecontaminationFilter: {
        "paths": [""],
        "ngram": 0,
        "max_ngram_overlap": 1.0,
        "max_similarity": 1,
        "action": "warn",
    },
    ops.TopicReverseGrouper: {"keep_embeddings": 1, "instruction_key": ""},
    ops.LLMPairMergerMapper: {
        "similarity_threshold": 1.5,
        "pairing": "nearest",
        "pairing_seed": -1,
        "max_group_size": 1,
        "merge_ratio": 0,
        "merge_strategy": "gpt",
        "try_num": 0,
        "num_candidates": 0,
        "max_concurrency": 0,
        "timeout_s": 0,
        "max_failure_ratio": 1.1,
        "max_total_tokens": 0,
        "model_params": "x",
        "sampling_params": [1],
        "dry_run": "no",
        "api_or_hf_model": "",
        "system_prompt": "",
        "is_hf_model": None,
        "backend": "vllm",
        "cache_path": "",
    },
    ops.QualityGateFilter: {
        "gamma": 0,
        "strict": None,
        "reference": "median",
        "min_score": "3",
        "max_score": True,
        "min_parent_coverage": 2,
        "on_missing_score": None,
        "score_all": 0,
        "read": None,
        "scorer": "",
        "scorer_params": "x",
    },
}


@pytest.mark.parametrize(
    ("operator", "name", "value"),
    [(operator, name, value) for operator, values in BAD_VALUES.items() for name, value in values.items()],
    ids=lambda value: getattr(value, "_name", repr(value)),
)
def test_a_bad_value_is_one_sentence_with_operator_parameter_range_and_value(operator, name, value):
    with pytest.raises(RecipeError) as error:
        operator(**{name: value})
    sentence = str(error.value)
    assert sentence.startswith(f"{operator._name}: {name} must be ")
    # A mapping written as text may hold a secret.
    is_text = operator._constraints[name] is MAPPING and isinstance(value, str)
    assert sentence.endswith("got a text." if is_text else f"got {value!r}.")


@all_operators
def test_every_parameter_is_constrained_and_documented(case):
    made = case.make()
    assert set(made.parameters) == set(case.operator._constraints) == set(declared_parameters(case.operator))
    documented = {name for name, _, meaning in parameter_tables.described(case.operator) if meaning}
    assert set(made.parameters) <= documented


def test_duplicate_rows_are_told_apart_and_ids_are_the_same_in_another_order(embedded_rows):
    rows = embedded_rows[:10] * 2
    grouper = ops.TopicClusterGrouper(num_clusters=1)
    ids = grouper.run(make_dataset(rows))[0][ROW_ID]
    assert len(set(ids)) == 20
    assert Counter(len(row_id) for row_id in ids) == {20: 10, 22: 10}
    assert sorted(grouper.run(make_dataset(rows[::-1]))[0][ROW_ID]) == sorted(ids)


def test_merged_rows_keep_what_all_parents_agree_on_and_parents_come_back_bit_for_bit(embedded_rows):
    rows = with_extras([row | {"source": "same"} for row in embedded_rows])
    topics = ops.TopicClusterGrouper(num_clusters=3).run(make_dataset(rows))
    merged = ops.LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.4).run(topics)
    (first, *_) = [row for row in merged if row[META]["merge_status"] == "merged"]
    assert first["source"] == "same"
    assert first["id"] is None
    rejected = ops.QualityGateFilter(scorer="tests.user_scorers:Constant", gamma=1.0).run(merged)
    assert {meta["merge_status"] for meta in rejected[META]} == {"original", "restored"}
    restored = rejected.remove_columns([META, STATS]).sort("id")
    expected = Dataset.from_list(rows).remove_columns([EMBEDDING]).sort("id")
    assert restored.to_list() == expected.to_list()
    assert restored.features == expected.features


def test_metadata_of_others_survives_merging_and_restoring(embedded_rows):
    rows = [row | {META: {"lang": "en", "number": i}} for i, row in enumerate(embedded_rows)]
    topics = ops.TopicClusterGrouper(num_clusters=3).run(make_dataset(rows))
    merged = ops.LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.4).run(topics)
    for row in merged:
        assert row[META]["lang"] == "en"
        assert ("number" in row[META]) == (row[META]["merge_status"] == "original")
    rejected = ops.QualityGateFilter(scorer="tests.user_scorers:Constant", gamma=1.0).run(merged)
    assert sorted(meta["number"] for meta in rejected[META]) == list(range(len(rows)))


def test_a_row_that_has_no_text_form_is_never_merged(embedded_rows, monkeypatch):
    from mergeit_ops.core.rows.lossless import UnencodableError
    from mergeit_ops.dataset import merge_table

    # All current Arrow values have a text form. This test covers a type that may come later.
    def refuse(row):
        raise UnencodableError("no text form")

    topics = ops.TopicClusterGrouper(num_clusters=3).run(make_dataset(embedded_rows))
    monkeypatch.setattr(merge_table, "encode_row", refuse)
    rows = ops.LLMPairMergerMapper(merge_strategy="concat", similarity_threshold=0.4).run(topics)
    assert len(rows) == len(embedded_rows)
    assert Counter(meta["merge_error"] for meta in rows[META]).keys() == {None, "unencodable"}


def test_flat_rows_are_no_work_for_the_merger(embedded_rows):
    with pytest.raises(DatasetError, match=r"merges within topics; put topic_cluster_grouper.*No call was made"):
        ops.LLMPairMergerMapper(merge_strategy="concat").run(make_dataset(embedded_rows))
    batch = make_dataset(embedded_rows[:3]).to_dict()
    with pytest.raises(DatasetError, match="merges within topics"):
        ops.LLMPairMergerMapper(merge_strategy="concat").process(batch)


def test_names_of_system_columns_are_data_juicers():
    from data_juicer.utils.constant import Fields, HashKeys

    from mergeit_ops.core import columns

    assert (Fields.meta, Fields.stats, Fields.batch_meta) == (columns.META, columns.STATS, columns.BATCH_META)
    hashes = {value for name, value in vars(HashKeys).items() if not name.startswith("_")}
    assert set(columns.HASH_COLUMNS) == hashes


def test_types_of_embeddings_and_ids_are_text(embedded_rows):
    columns = columns_inside(ops.TopicClusterGrouper().run(make_dataset(embedded_rows)))
    assert columns[EMBEDDING] == columns[ROW_ID] == pa.string()
